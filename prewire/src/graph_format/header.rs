//! The first line.

use super::event::{data_type, numbers};
use super::field::{Field, present};
use super::model::{BufferRecord, EntryRecord, Header, KernelRecord};
use super::{FORMAT_VERSION, FormatError, Statistics};
use prewire_runtime_core::chip::CoreKind;
use prewire_runtime_core::kernel::MAX_KERNELS;
use prewire_runtime_core::tensor::{DataType, MAX_BUFFER_BYTES, MAX_DIMENSIONS};
use serde_json::{Map, Value, json};

/// The names that the element types have in a file, in the order of their numbers.
const DATA_TYPE_NAMES: [&str; 15] = [
    "FLOAT32",
    "FLOAT16",
    "INT32",
    "INT16",
    "INT8",
    "UINT8",
    "BFLOAT16",
    "INT64",
    "UINT64",
    "UINT16",
    "UINT32",
    "BOOL",
    "FP8E4M3FN",
    "FP8E8M0",
    "FP4E2M1",
];

/// A header and what the rest of the file is read with.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) header: Header,
    pub(super) data_types: Vec<DataType>,
    pub(super) counts: Counts,
}

/// What the header says that the rest of the file holds, where it says so.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) tasks: Option<u64>,
    pub(super) scopes: Option<u64>,
    pub(super) edges: Option<u64>,
}

pub(super) fn parse(value: &Value, line: u64) -> Result<Parsed, FormatError> {
    let root = Field::line(value, "header", line);
    // Whatever else is wrong, a line that is no object is no header.
    drop(root.members()?);
    let format = root.required("format")?;
    let version = format.number(u64::MAX)?;
    if version != FORMAT_VERSION {
        return Err(format.wrong(format!("version {version} is not known; this program reads {FORMAT_VERSION}")));
    }
    let text = |key| root.member(key).map_or(Ok(""), |field| field.text()).map(str::to_owned);
    let mut header = Header {
        model: text("model")?,
        case: text("case")?,
        recorded_with: text("recorded_with")?,
        ..Header::default()
    };
    if let Some(params) = root.member("params") {
        for (key, value) in params.members()? {
            header.params.insert(key.to_owned(), value.text()?.to_owned());
        }
    }
    let data_types = match root.member("dtypes") {
        None => DataType::ALL.to_vec(),
        Some(names) => names.elements()?.map(|name| named_data_type(&name)).collect::<Result<_, _>>()?,
    };
    kernels(&root, &mut header)?;
    let buffers = root.required("buffers")?;
    for buffer in buffers.elements()? {
        let [bytes, producer] = buffer.record(["bytes", "producer"], 2)?;
        header.buffers.push(BufferRecord {
            bytes: present(bytes).number(MAX_BUFFER_BYTES)?,
            producer: present(producer).number_or_none(u64::from(u32::MAX) - 1)?.map(|task| task as u32),
        });
    }
    if let Some(entries) = root.member("entry") {
        for entry in entries.elements()? {
            header.entry.push(entry_record(&entry, &data_types, &header.buffers)?);
        }
    }
    let count = |key| root.member(key).map(|field| field.number(u64::MAX)).transpose();
    let counts = Counts { tasks: count("tasks")?, scopes: count("scopes")?, edges: count("edges_annotated")? };
    Ok(Parsed { header, data_types, counts })
}

fn named_data_type(field: &Field<'_>) -> Result<DataType, FormatError> {
    let name = field.text()?;
    let index = DATA_TYPE_NAMES.iter().position(|known| *known == name);
    index
        .and_then(|index| DataType::from_index(index as u8))
        .ok_or_else(|| field.wrong(format!("\"{name}\" is no element type; known are {}", DATA_TYPE_NAMES.join(", "))))
}

fn kernels(root: &Field<'_>, header: &mut Header) -> Result<(), FormatError> {
    let kernels = root.required("kernels")?;
    for (key, kernel) in kernels.members()? {
        let id = key.parse::<u16>().ok().filter(|&id| usize::from(id) < MAX_KERNELS);
        let id =
            id.ok_or_else(|| kernel.wrong(format!("\"{key}\" is no kernel number from 0 to {}", MAX_KERNELS - 1)))?;
        let [name, kind, duration] = kernel.record(["name", "kind", "duration"], 2)?;
        let kind = present(kind);
        let record = KernelRecord {
            name: present(name).text()?.to_owned(),
            kind: match kind.text()? {
                "aic" => CoreKind::Cube,
                "aiv" => CoreKind::Vector,
                other => return Err(kind.wrong(format!("\"{other}\" is neither \"aic\" nor \"aiv\""))),
            },
            duration_ns: duration.map(|field| field.number(u64::MAX)).transpose()?,
        };
        header.kernels.insert(id, record);
    }
    Ok(())
}

fn entry_record(
    entry: &Field<'_>,
    data_types: &[DataType],
    buffers: &[BufferRecord],
) -> Result<EntryRecord, FormatError> {
    let [name, buffer, data_type_number, shape] = entry.record(["name", "buffer", "data type", "shape"], 4)?;
    let buffer = present(buffer);
    let number = buffer.number(u64::from(u32::MAX))? as u32;
    match buffers.get(number as usize) {
        None => return Err(buffer.wrong(format!("buffer {number} is none of the {} that are listed", buffers.len()))),
        Some(BufferRecord { producer: Some(task), .. }) => {
            return Err(buffer.wrong(format!("buffer {number} belongs to task {task}; an entry tensor is external")));
        }
        Some(_) => {}
    }
    Ok(EntryRecord {
        name: present(name).text()?.to_owned(),
        buffer: number,
        data_type: data_type(&present(data_type_number), data_types)?,
        shape: numbers(&present(shape), MAX_DIMENSIONS, u64::from(u32::MAX))?,
    })
}

/// The header with its counts as a line.
pub(super) fn to_json(header: &Header, statistics: &Statistics) -> Value {
    let mut line = Map::new();
    line.insert("format".into(), json!(FORMAT_VERSION));
    line.insert("model".into(), json!(header.model));
    line.insert("case".into(), json!(header.case));
    line.insert("params".into(), json!(header.params));
    line.insert("recorded_with".into(), json!(header.recorded_with));
    line.insert("tasks".into(), json!(statistics.tasks));
    line.insert("kinds".into(), json!(statistics.kinds));
    line.insert("edges_annotated".into(), json!(statistics.edges));
    line.insert("edges_unique_pairs".into(), json!(statistics.pairs));
    line.insert("critical_path_tasks".into(), json!(statistics.critical_path_tasks));
    line.insert("max_fanin".into(), json!(statistics.fan_in_max));
    line.insert("max_fanout".into(), json!(statistics.fan_out_max));
    line.insert("subtasks_total".into(), json!(statistics.subtasks));
    line.insert("max_scope_depth".into(), json!(statistics.scope_depth_max));
    line.insert("scopes".into(), json!(statistics.scopes));
    line.insert("dtypes".into(), json!(DATA_TYPE_NAMES));
    let kernels: Map<String, Value> = header
        .kernels
        .iter()
        .map(|(id, kernel)| {
            let kind = kernel.kind.name().to_lowercase();
            let record = match kernel.duration_ns {
                None => json!([kernel.name, kind]),
                Some(duration_ns) => json!([kernel.name, kind, duration_ns]),
            };
            (id.to_string(), record)
        })
        .collect();
    line.insert("kernels".into(), Value::Object(kernels));
    let entry: Vec<Value> = header
        .entry
        .iter()
        .map(|entry| json!([entry.name, entry.buffer, entry.data_type.index(), entry.shape]))
        .collect();
    line.insert("entry".into(), Value::Array(entry));
    let buffers: Vec<Value> =
        header.buffers.iter().map(|buffer| json!([buffer.bytes, buffer.producer.map_or(-1, i64::from)])).collect();
    line.insert("buffers".into(), Value::Array(buffers));
    Value::Object(line)
}
