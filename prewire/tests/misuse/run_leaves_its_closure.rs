//! A run is over when its closure returns; nobody submits to it afterwards.

fn main() {
    let mut runtime = prewire::Runtime::builder().build().unwrap();
    let mut kept = None;
    let _ = runtime.run(|run| {
        kept = Some(run);
        Ok(())
    });
}
