//! A runtime runs one graph at a time.

fn main() {
    let mut runtime = prewire::Runtime::builder().build().unwrap();
    let _ = runtime.run(|_| {
        let _ = runtime.run(|_| Ok(()));
        Ok(())
    });
}
