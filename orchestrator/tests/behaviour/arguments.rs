//! What a submit accepts, what it refuses, and what a task then sees. Each refusal must leave everything as it was.

use crate::rig::{KERNEL, Rig, fatal, recorded, refusal, small};
use prewire_orchestrator::{OrchestratorConfig, ScopeMode};
use prewire_runtime_core::error::{ErrorCode, Refusal};
use prewire_runtime_core::id::{KernelId, TaskId};
use prewire_runtime_core::kernel::{Kernel, KernelFunction, KernelSet, RegistrationError};
use prewire_runtime_core::task::{Argument, Dependency, NewTensor, Scalar, Task};
use prewire_runtime_core::tensor::DataType;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// Claims CHIP-001.
#[test]
fn a_task_has_up_to_32_tensors_and_16_scalars() {
    let mut rig = Rig::new(small());
    let tensors: Vec<_> = (0..33).map(|_| rig.external(&[1])).collect();
    let arguments: Vec<_> = tensors.iter().map(Argument::Input).collect();
    let scalars: Vec<_> = (100..117u64).map(Scalar).collect();

    let seen = Rc::new(RefCell::new(None));
    let id = rig.submit(&Task::vector(KERNEL).arguments(&arguments[..32]).scalars(&scalars[..16]));
    let saw = Rc::clone(&seen);
    rig.does(id, move |seen| {
        let addresses: Vec<u64> = seen.tensors.iter().map(|tensor| tensor.first_byte()).collect();
        *saw.borrow_mut() = Some((addresses, seen.scalars.to_vec()));
    });
    rig.retirer.run();
    let given: Vec<u64> = tensors[..32].iter().map(|tensor| tensor.first_byte()).collect();
    assert_eq!(*seen.borrow(), Some((given, (100..116).collect())));

    let before = rig.orchestrator.usage();
    let submitted = rig.orchestrator.report().tasks;
    let many = refusal(rig.try_submit(&Task::vector(KERNEL).arguments(&arguments))).to_string();
    assert!(many.contains("code 5") && many.contains("33") && many.contains("32"), "{many}");
    let many = refusal(rig.try_submit(&Task::vector(KERNEL).scalars(&scalars))).to_string();
    assert!(many.contains("code 5") && many.contains("17") && many.contains("16"), "{many}");
    assert_eq!(rig.orchestrator.usage(), before);
    assert_eq!(rig.orchestrator.report().tasks, submitted);
    assert!(rig.is_usable());
}

/// Claims CHIP-002.
#[test]
fn the_first_mistake_is_the_one_that_is_told() {
    let mut rig = Rig::new(small());
    let tensor = rig.external(&[1]);
    let arguments = [Argument::Input(&tensor); 33];
    let told = refusal(rig.try_submit(&Task::vector(KERNEL).arguments(&arguments).blocks(0))).to_string();
    assert!(told.contains("code 5") && told.contains("32"), "{told}");
    assert!(!told.contains("block"), "{told}");
    let told = refusal(rig.try_submit(&Task::vector(KERNEL).blocks(0).arguments(&arguments))).to_string();
    assert!(told.contains("0 blocks") && !told.contains("33"), "{told}");
}

/// Claims CHIP-003.
#[test]
fn scalars_arrive_bit_for_bit() {
    let mut rig = Rig::new(small());
    let mut scalars = vec![Scalar::from(1.5f32), Scalar::from(-1i32), Scalar::from(-1i64), Scalar::from(-0.0f64)];
    scalars.extend([-5i32, 0, i32::MAX].map(Scalar::from));
    let id = rig.submit(&Task::vector(KERNEL).scalars(&scalars));
    let seen = Rc::new(RefCell::new(Vec::new()));
    let saw = Rc::clone(&seen);
    rig.does(id, move |seen| saw.borrow_mut().extend_from_slice(seen.scalars));
    rig.retirer.run();
    let expected = [0x3FC0_0000, 0xFFFF_FFFF, u64::MAX, 1 << 63, 0xFFFF_FFFB, 0, 0x7FFF_FFFF];
    assert_eq!(*seen.borrow(), expected);
}

/// Claims CHIP-004.
#[test]
fn a_task_names_registered_kernels() {
    let mut rig = Rig::new(small());
    let none = refusal(rig.try_submit(&Task::cluster(None, None, None))).to_string();
    assert!(none.contains("code 5") && none.contains("no kernel"), "{none}");
    let unknown = refusal(rig.try_submit(&Task::vector(KernelId(77)))).to_string();
    assert!(unknown.contains("code 5") && unknown.contains("77"), "{unknown}");
    let beyond = refusal(rig.try_submit(&Task::vector(KernelId(2000)))).to_string();
    assert!(beyond.contains("2000"), "{beyond}");

    let kernel =
        || Kernel { name: "edge".to_owned(), kind: None, function: KernelFunction::Rust(Arc::new(|_| Ok(()))) };
    let mut kernels = KernelSet::default();
    assert_eq!(kernels.register_at(0, kernel()), Ok(KernelId(0)));
    assert_eq!(kernels.register_at(1023, kernel()), Ok(KernelId(1023)));
    let refused = kernels.register_at(1024, kernel()).unwrap_err();
    assert_eq!(refused, RegistrationError::IdTooLarge { id: 1024 });
    assert!(refused.to_string().contains("1024"));
    assert_eq!(kernels.iter().count(), 2);

    rig.finish();
    rig.kernels = Arc::new(kernels);
    rig.begin();
    let first = rig.submit(&Task::vector(KernelId(0)));
    let last = rig.submit(&Task::cube(KernelId(1023)));
    rig.retirer.run();
    assert_eq!(rig.retirer.ended, [(last, true), (first, true)].map(|(id, ran)| (id, ran)));
}

/// The kind of core that a kernel is registered for, directed tasks, gangs, blocks and budgets.
#[test]
fn placement_is_checked() {
    use prewire_runtime_core::chip::CoreKind;
    use prewire_runtime_core::id::CoreId;
    use prewire_runtime_core::task::Placement;
    let mut rig = Rig::new(small());
    rig.finish();
    let mut kernels = KernelSet::default();
    let function = KernelFunction::Rust(Arc::new(|_| Ok(())));
    let kind = Some(CoreKind::Cube);
    kernels.register(Kernel { name: "matmul".to_owned(), kind, function }).unwrap();
    rig.kernels = Arc::new(kernels);
    rig.begin();

    let wrong = refusal(rig.try_submit(&Task::vector(KERNEL))).to_string();
    assert!(wrong.contains("matmul") && wrong.contains("AIC") && wrong.contains("AIV"), "{wrong}");
    for (core, told) in [(12, "not on the chip"), (4, "another kind")] {
        let task = Task::cube(KERNEL).placement(Placement::Core(CoreId(core)));
        let wrong = refusal(rig.try_submit(&task)).to_string();
        assert!(wrong.contains(told) && wrong.contains(&core.to_string()), "{wrong}");
    }
    for blocks in [0, -1, 1 << 31] {
        let wrong = refusal(rig.try_submit(&Task::cube(KERNEL).blocks(blocks))).to_string();
        assert!(wrong.contains("code 5") && wrong.contains(&blocks.to_string()), "{wrong}");
    }
    let wrong = rig.try_submit(&Task::cube(KERNEL).budget(std::time::Duration::ZERO));
    assert!(matches!(refusal(wrong), Refusal::ZeroBudget));
    let id = rig.submit(&Task::cube(KERNEL).placement(Placement::Core(CoreId(3))));
    let slot = rig.orchestrator.slot_of(id).unwrap();
    let mut waiting = Vec::new();
    rig.graph.directed(CoreId(3)).take_all(&rig.graph.slots, |slot| waiting.push(slot));
    assert_eq!(waiting, [slot]);
    rig.retirer.ready.push((slot, id));

    let gang = fatal(rig.try_submit(&Task::cube(KERNEL).blocks(5).sync_start()));
    assert_eq!(gang.code(), ErrorCode::GangTooLarge);
    assert!(gang.to_string().contains('5') && gang.to_string().contains('4'), "{gang}");
}

/// Claims CHIP-006.
#[test]
fn output_sizes_are_summed_without_wrapping() {
    let mut config = small();
    config.heap_bytes = [256 << 20; 4];
    let mut rig = Rig::new(config);
    let huge = NewTensor::new(&[1 << 31; 5], DataType::F32);
    let refused = refusal(rig.try_submit(&Task::vector(KERNEL).arguments(&[Argument::Output(huge)])));
    assert!(refused.to_string().contains("code 5"), "{refused}");
    let large = NewTensor::new(&[1 << 28], DataType::F32);
    let outputs = [Argument::Output(large); 3];
    let fatal = fatal(rig.try_submit(&Task::vector(KERNEL).arguments(&outputs)));
    assert_eq!(fatal.code(), ErrorCode::HeapDeadlock);
    assert!(fatal.to_string().contains("3221225472"), "{fatal}");
}

/// The sum of outputs that each fit 64 bits does not wrap either.
#[test]
fn outputs_beyond_64_bits_are_refused() {
    let mut rig = Rig::new(small());
    let large = NewTensor::new(&[1 << 30, 1 << 30, 1], DataType::U8);
    let outputs = [Argument::Output(large); 32];
    let refused = refusal(rig.try_submit(&Task::vector(KERNEL).arguments(&outputs)));
    assert!(matches!(refused, Refusal::OutputsTooLarge), "{refused}");
}

/// Claims CHIP-007.
#[test]
fn outputs_are_packed_and_filled() {
    let mut rig = Rig::new(small());
    let new = |bytes| Argument::Output(NewTensor::new(&[bytes], DataType::U8));
    let (_, outputs) = rig.try_submit(&Task::vector(KERNEL).arguments(&[new(1), new(1025), new(0)])).unwrap();
    let base = outputs[0].address();
    assert!(base.is_multiple_of(64));
    assert_eq!(outputs.iter().map(|output| output.address() - base).collect::<Vec<_>>(), [0, 1024, 3072]);

    let filled = |value: f32| Argument::Output(NewTensor::new(&[1000], DataType::F32).filled(value));
    let (id, _) = rig.try_submit(&Task::vector(KERNEL).arguments(&[filled(1.5), filled(-2.0)])).unwrap();
    let ran = Rc::new(RefCell::new(false));
    let saw = Rc::clone(&ran);
    rig.does(id, move |seen| {
        assert_eq!(seen.all(0), vec![1.5f32.to_bits(); 1000]);
        assert_eq!(seen.all(1), vec![(-2.0f32).to_bits(); 1000]);
        *saw.borrow_mut() = true;
    });
    rig.retirer.run();
    assert!(*ran.borrow());
}

/// Claims CHIP-013.
#[test]
fn a_handle_dies_with_its_scope() {
    let mut config = small();
    config.heap_bytes = [4096; 4];
    let mut rig = Rig::new(config);
    let output = Argument::Output(NewTensor::new(&[256], DataType::U32));
    rig.open();
    let (owner, outputs) = rig.try_submit(&Task::vector(KERNEL).arguments(&[output])).unwrap();
    let stale = outputs[0];
    rig.close();
    for attempt in 0..1000 {
        let refused = refusal(rig.try_submit(&Task::vector(KERNEL).arguments(&[Argument::Input(&stale)])));
        let told = refused.to_string();
        assert!(told.contains("code 5") && told.contains(&owner.to_string()) && told.contains("closed"), "{told}");
        // The bytes are used by others again, and free again, in turns.
        if attempt % 2 == 0 {
            rig.open();
            let (id, outputs) = rig.try_submit(&Task::vector(KERNEL).arguments(&[output; 1])).unwrap();
            rig.does(id, |seen| seen.fill(0, 7));
            assert_eq!(outputs[0].shape(), [256]);
        } else {
            rig.retirer.run();
            rig.close();
        }
    }
    assert_eq!(rig.retirer.ended.len(), 501, "no task with the stale handle ever ran");
}

/// Claims CHIP-014.
#[test]
fn ids_are_never_reused() {
    let mut config = small();
    config.window = [16; 4];
    let mut rig = Rig::new(config);
    rig.retirer.remember = false;
    let mut last: Option<TaskId> = None;
    let mut kept = None;
    let tensor = rig.external(&[1]);
    for run in 0..2 {
        for task in 0..100_000 {
            let id = if task == 0 {
                let output = [Argument::Output(NewTensor::new(&[4], DataType::U32))];
                rig.open();
                let (id, outputs) = rig.try_submit(&Task::vector(KERNEL).arguments(&output)).unwrap();
                rig.retirer.run();
                if run == 0 {
                    kept = Some((id, outputs[0]));
                }
                rig.close();
                continue;
            } else {
                rig.task(&[Argument::InOut(&tensor)])
            };
            assert!(last.is_none_or(|last| last.ring() == id.ring() && last < id), "{last:?} before {id}");
            last = Some(id);
        }
        rig.finish();
        rig.retirer.remember = false;
        rig.begin();
    }
    let (id, handle) = kept.unwrap();
    let refused = refusal(rig.try_submit(&Task::vector(KERNEL).dependencies(&[Dependency::on(id)])));
    assert!(refused.to_string().contains("code 5") && refused.to_string().contains(&id.to_string()), "{refused}");
    let refused = refusal(rig.try_submit(&Task::vector(KERNEL).arguments(&[Argument::Input(&handle)])));
    assert!(refused.to_string().contains("code 5") && refused.to_string().contains(&id.to_string()), "{refused}");

    for first_sequence in [(1u64 << 31) - 8, (1 << 32) - 8] {
        let mut rig = Rig::new(OrchestratorConfig { window: [16; 4], first_sequence, ..small() });
        let tensor = rig.external(&[1]);
        let ids: Vec<_> = (0..16).map(|_| rig.inout(&tensor, |seen| seen.set(0, 0, seen.get(0, 0) + 1))).collect();
        assert_eq!(ids[0].sequence(), first_sequence);
        rig.retirer.run();
        assert_eq!(rig.read(&tensor, 0), 16);
        assert_eq!(rig.retirer.ended.iter().map(|&(id, _)| id).collect::<Vec<_>>(), ids);
    }
}

/// A refused submit is an error of the call and of the run, and the first one stays.
#[test]
fn the_first_refusal_is_in_the_report() {
    let mut rig = Rig::new(recorded());
    assert!(rig.orchestrator.report().refused.is_none());
    refusal(rig.try_submit(&Task::vector(KernelId(9))));
    refusal(rig.orchestrator.close_scope());
    rig.orchestrator.open_scope(ScopeMode::Manual).unwrap();
    refusal(rig.orchestrator.open_scope(ScopeMode::Automatic));
    assert!(matches!(rig.orchestrator.report().refused, Some(Refusal::UnknownKernel { kernel: 9 })));
    rig.finish();
    assert!(matches!(rig.orchestrator.report().refused, Some(Refusal::UnknownKernel { kernel: 9 })));
}
