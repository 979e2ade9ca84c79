//! The runtimes that are measured.

use crate::options::Options;
use prewire::{Builder, Kernel, KernelId, Runtime};

/// A runtime of as many threads as the options say, with every hazard inferred and nothing recorded.
pub(crate) fn builder(options: &Options) -> Builder {
    // A scheduler that the caller drives has no thread of its own.
    let threads = options.threads + i64::from(options.caller_drives);
    Runtime::builder().threads(threads).caller_drives(options.caller_drives)
}

/// The payloads: each writes one more than the largest of what it reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payloads {
    /// Reads and writes argument 0.
    pub(crate) own: KernelId,
    /// Reads argument 0, writes argument 1.
    pub(crate) one: KernelId,
    /// Reads arguments 0 and 1, writes argument 2.
    pub(crate) two: KernelId,
}

impl Payloads {
    pub(crate) fn register(runtime: &mut Runtime) -> Self {
        let mut register = |kernel| runtime.register(kernel).expect("there is room for three kernels");
        Payloads {
            own: register(Kernel::vector("own", |context| {
                context.output::<u32>(0)?.as_mut_slice()[0] += 1;
                Ok(())
            })),
            one: register(Kernel::vector("one", |context| {
                let before = context.input::<u32>(0)?.as_slice()[0];
                context.output::<u32>(1)?.as_mut_slice()[0] = before + 1;
                Ok(())
            })),
            two: register(Kernel::vector("two", |context| {
                let before = context.input::<u32>(0)?.as_slice()[0].max(context.input::<u32>(1)?.as_slice()[0]);
                context.output::<u32>(2)?.as_mut_slice()[0] = before + 1;
                Ok(())
            })),
        }
    }
}
