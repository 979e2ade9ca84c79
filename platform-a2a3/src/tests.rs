//! The chip's figures.

use super::chip;
use prewire_runtime_core::chip::CoreKind;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::tensor::DataType;

/// Claims CHIP-150.
#[test]
fn cores_and_clusters_are_numbered_as_on_the_chip() {
    let chip = chip();
    assert_eq!(chip.name, "a2a3");
    assert_eq!((chip.clusters, chip.dies, chip.clusters / chip.dies), (24, 1, 24));
    assert_eq!((chip.cube_cores(), chip.vector_cores(), chip.cores()), (24, 48, 72));
    for core in 0..72 {
        let cube = core < 24;
        assert_eq!(chip.kind_of(CoreId(core)), if cube { CoreKind::Cube } else { CoreKind::Vector });
        assert_eq!(chip.core_name(CoreId(core)), format!("{}_{core}", if cube { "AIC" } else { "AIV" }));
    }
    for cluster in 0..24 {
        let cores = [0, 1, 2].map(|part| chip.core(cluster, part).0);
        assert_eq!(cores, [cluster, 24 + 2 * cluster, 25 + 2 * cluster]);
        for (part, core) in cores.into_iter().enumerate() {
            assert_eq!(chip.place_of(CoreId(core)), (cluster, part));
        }
    }
    let ticks_of_a_millisecond = chip.counter_hz / 1000;
    assert_eq!(ticks_of_a_millisecond, 50_000);
}

#[test]
fn threads_and_deadlines() {
    let chip = chip();
    assert_eq!((chip.threads_default, chip.threads_max), (4, 4));
    assert_eq!(chip.clusters % u16::from(chip.threads_default - 1), 0, "every scheduler owns as many clusters");
    assert_eq!(chip.exit_deadline_ms, 1000);
}

#[test]
fn narrow_floating_point_types_are_unknown() {
    let chip = chip();
    let narrow = [DataType::Fp8E4M3Fn, DataType::Fp8E8M0, DataType::Fp4E2M1];
    for data_type in DataType::ALL {
        assert_eq!(chip.knows(data_type), !narrow.contains(&data_type), "{data_type}");
    }
}
