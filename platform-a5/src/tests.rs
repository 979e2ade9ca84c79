//! The chip's figures.

use super::chip;
use prewire_runtime_core::chip::CoreKind;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::tensor::DataType;

/// Claims CHIP-154.
#[test]
fn cores_and_clusters_are_numbered_as_on_the_chip() {
    let chip = chip();
    assert_eq!(chip.name, "a5");
    assert_eq!((chip.clusters, chip.dies, chip.clusters / chip.dies), (36, 2, 18));
    assert_eq!((chip.cube_cores(), chip.vector_cores(), chip.cores()), (36, 72, 108));
    for core in 0..108 {
        let cube = core < 36;
        assert_eq!(chip.kind_of(CoreId(core)), if cube { CoreKind::Cube } else { CoreKind::Vector });
        assert_eq!(chip.core_name(CoreId(core)), format!("{}_{core}", if cube { "AIC" } else { "AIV" }));
    }
    for cluster in 0..36 {
        let cores = [0, 1, 2].map(|part| chip.core(cluster, part).0);
        assert_eq!(cores, [cluster, 36 + 2 * cluster, 37 + 2 * cluster]);
        for (part, core) in cores.into_iter().enumerate() {
            assert_eq!(chip.place_of(CoreId(core)), (cluster, part));
        }
    }
    let ticks_of_a_millisecond = chip.counter_hz / 1000;
    assert_eq!(ticks_of_a_millisecond, 1_000_000);
}

#[test]
fn threads_and_deadlines() {
    let chip = chip();
    assert_eq!((chip.threads_default, chip.threads_max), (5, 5));
    assert_eq!(chip.clusters % u16::from(chip.threads_default - 1), 0, "every scheduler owns as many clusters");
    assert_eq!(chip.exit_deadline_ms, 1000);
}

#[test]
fn narrow_floating_point_types_are_known() {
    let chip = chip();
    let narrow = [DataType::Fp8E4M3Fn, DataType::Fp8E8M0, DataType::Fp4E2M1];
    for data_type in DataType::ALL {
        assert!(chip.knows(data_type), "{data_type}");
    }
    assert_eq!(narrow.map(DataType::bytes), [1; 3]);
}
