//! What groups may be, and how they wait for the room of their arguments.

mod common;

use common::Calls;
use prewire::{
    Argument, CoreId, DataType, Kernel, KernelError, Member, NewTensor, Placement, RunError, Runtime, Scalar,
    SubmitError, Task,
};

fn vector(number: u16) -> CoreId {
    CoreId(4 + number)
}

fn check(right: bool, what: &str) -> Result<(), KernelError> {
    if right { Ok(()) } else { Err(KernelError::new(1, what)) }
}

fn refusal(runtime: &mut Runtime, task: &Task<'_>) -> String {
    let mut text = String::new();
    let failed = runtime
        .run(|run| {
            let Err(SubmitError::Refused(refusal)) = run.submit(task) else { panic!("not refused") };
            text = refusal.to_string();
            Ok(())
        })
        .unwrap_err();
    assert!(matches!(*failed.error, RunError::Refused(_)));
    assert_eq!((failed.report.tasks, failed.report.rings[0].window.0), (0, 0));
    text
}

/// The engine's part of HOST-046, and of HOST-037 and HOST-020 for groups: what is wrong with a group is said with its numbers, and nothing is used.
#[test]
fn a_group_that_makes_no_sense_is_refused() {
    let mut runtime = common::small().build().unwrap();
    let kernel = runtime.register(Kernel::any("idle", |_| Ok(()))).unwrap();
    let (one, many) = ([Scalar(0)], [Scalar(0); 17]);
    let members = [Member::default().scalars(&one); 9];
    let too_long = [members[0], Member::default().scalars(&many)];
    let [zero, one, two, cube] = [vector(0), vector(1), vector(2), CoreId(3)];
    let task = Task::vector(kernel);
    let outputs = [Argument::Output(NewTensor::new(&[1], DataType::U32)); 17];
    let with_outputs = [Member::new(&outputs); 2];
    let named = [&[zero][..], &[zero, one, two], &[zero, one, zero], &[zero, CoreId(12)], &[zero, cube]];
    let cases: [(Task<'_>, &[&str]); 12] = [
        (task.group(&[]), &["no members"]),
        (task.group(&members), &["9 members", "8 AIV"]),
        (Task::cube(kernel).group(&members[..5]), &["5 members", "4 AIC"]),
        (task.group(&members[..2]).placement(Placement::Cores(named[0])), &["2 blocks", "1 cores"]),
        (task.group(&members[..2]).placement(Placement::Cores(named[1])), &["2 blocks", "3 cores"]),
        (task.group(&members[..3]).placement(Placement::Cores(named[2])), &["core 4", "two blocks"]),
        (task.group(&members[..2]).placement(Placement::Cores(named[3])), &["core 12", "not on the chip"]),
        (task.group(&members[..2]).placement(Placement::Cores(named[4])), &["core 3", "another kind"]),
        (task.group(&members[..2]).placement(Placement::Core(zero)), &["core 4", "start together"]),
        (task.group(&too_long), &["member 1", "17 scalar", "16"]),
        (task.group(&with_outputs), &["34 outputs", "32"]),
        (task.scalars(&many[..2]).group(&members[..2]), &["2 scalars of its own"]),
    ];
    for (task, words) in cases {
        let text = refusal(&mut runtime, &task);
        assert!(text.contains("code 5") && words.iter().all(|word| text.contains(word)), "{text}");
    }
    let foreign = Runtime::builder().clusters(1).build().unwrap().buffer(4).unwrap();
    let foreign = foreign.tensor(&[1], DataType::U32).unwrap();
    let argument = [Argument::Input(&foreign)];
    let text = refusal(&mut runtime, &task.group(&[members[0], Member::new(&argument)]));
    assert!(text.contains("member 1") && text.contains("argument 0"), "{text}");
    runtime.run(|run| run.submit(&task.group(&members[..8])).map(|_| ())).unwrap();
}

/// Many large groups go through a small window: what they take of the argument memory comes back.
#[test]
fn groups_wait_for_room_for_their_arguments() {
    let mut runtime = common::small().ring_task_window(8).index_entries(1 << 14).threads(2).build().unwrap();
    let sums = Calls::default();
    let member = {
        let sums = sums.clone();
        runtime
            .register(
                Kernel::vector("member", move |kernel| {
                    check(
                        (0..16).all(|at| kernel.scalar_bits(at) == Ok(u64::from(kernel.block_index()) + at as u64)),
                        "scalars",
                    )?;
                    check(kernel.tensors().len() == 32, "tensors")?;
                    sums.one();
                    Ok(())
                })
                .never_waits(),
            )
            .unwrap()
    };
    let buffer = runtime.buffer(4).unwrap();
    let tensor = buffer.tensor(&[1], DataType::U32).unwrap();
    let scalars: [[Scalar; 16]; 8] =
        std::array::from_fn(|member| std::array::from_fn(|at| Scalar((member + at) as u64)));
    runtime
        .run(|run| {
            let own = [Argument::Input(&tensor); 32];
            let members = scalars.each_ref().map(|scalars| Member::new(&own).scalars(scalars));
            for _ in 0..300 {
                run.submit(&Task::vector(member).group(&members))?;
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(sums.count(), 2400);
}
