//! Headers of .npy files: any bytes are read or refused, and a header made as NumPy makes them says what went into it.
#![no_main]

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use prewire_gpu_flush::DataType;
use prewire_gpu_flush::program::NpyHeader;

const TYPES: [(&str, DataType); 5] = [
    ("|u1", DataType::U8),
    ("<u2", DataType::U16),
    ("<i4", DataType::I32),
    ("<f4", DataType::F32),
    ("<f8", DataType::F64),
];

fuzz_target!(|bytes: &[u8]| {
    if let Err(error) = NpyHeader::read("fuzz", &mut &bytes[..]) {
        assert!(error.to_string().contains("fuzz"), "a refusal names its file: {error}");
    }
    let _ = made(&mut Unstructured::new(bytes));
});

fn made(source: &mut Unstructured<'_>) -> Result<()> {
    let (descr, dtype) = source.choose(&TYPES)?;
    let shape: Vec<u64> = source.arbitrary()?;
    let fortran_order = source.ratio(1, 8)?;
    let extents: String = match &shape[..] {
        [one] => format!("{one},"),
        many => many.iter().map(u64::to_string).collect::<Vec<_>>().join(", "),
    };
    let order = if fortran_order { "True" } else { "False" };
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({extents}), }}").into_bytes();
    text.resize(text.len().next_multiple_of(64), b' ');
    let mut file = vec![1, 0];
    let Ok(length) = u16::try_from(text.len()) else { return Ok(()) };
    file.extend(length.to_le_bytes());
    file.extend(&text);
    let read = NpyHeader::read("fuzz", &mut &file[..]);
    if fortran_order {
        assert!(read.expect_err("Fortran order is refused").to_string().contains("Fortran"));
    } else {
        assert_eq!(read.expect("it is a header"), NpyHeader { dtype: *dtype, shape });
    }
    // Cut off anywhere, it is none.
    let cut = source.int_in_range(0..=file.len() - 1)?;
    assert!(NpyHeader::read("fuzz", &mut &file[..cut]).is_err());
    Ok(())
}
