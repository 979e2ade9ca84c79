//! The configuration of one array and its builder.

use serde_json::{Map, Value};

use super::{CodecConfig, Dimension, ReduceMethod, validate};
use crate::dtype::DataType;
use crate::error::Error;

/// The value readers see where no chunk was written.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum FillValue {
    /// Zero of the data type.
    #[default]
    Zero,
    /// A signed or small integer.
    Integer(i64),
    /// An integer above `i64::MAX`.
    Unsigned(u64),
    /// A floating-point number, NaN and infinities included.
    Float(f64),
}

/// A checked description of one array. Dimensions stand in acquisition order, slowest first; the store's order is derived.
#[derive(Debug, Clone, PartialEq)]
pub struct ArrayConfig {
    pub(super) name: String,
    pub(super) dtype: DataType,
    pub(super) dimensions: Vec<Dimension>,
    pub(super) storage_positions: Vec<usize>,
    pub(super) codec: CodecConfig,
    pub(super) reduce: ReduceMethod,
    pub(super) append_reduce: ReduceMethod,
    pub(super) levels_max: u32,
    pub(super) preserve_aspect_ratio: bool,
    pub(super) fill_value: FillValue,
    pub(super) attributes: Map<String, Value>,
}

impl ArrayConfig {
    /// Starts a description: elements of `dtype`, no dimensions, codec none.
    #[must_use]
    pub fn builder(dtype: DataType) -> ArrayBuilder {
        ArrayBuilder {
            config: ArrayConfig {
                name: String::new(),
                dtype,
                dimensions: Vec::new(),
                storage_positions: Vec::new(),
                codec: CodecConfig::None,
                reduce: ReduceMethod::Mean,
                append_reduce: ReduceMethod::Mean,
                levels_max: 0,
                preserve_aspect_ratio: false,
                fill_value: FillValue::Zero,
                attributes: Map::new(),
            },
            storage_order: None,
        }
    }

    /// A builder that starts from this description, to change some of it.
    #[must_use]
    pub fn to_builder(&self) -> ArrayBuilder {
        ArrayBuilder { config: self.clone(), storage_order: None }
    }

    /// The path of the array's node inside the store, without slashes at the ends; empty is the root.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The element type.
    #[must_use]
    pub fn dtype(&self) -> DataType {
        self.dtype
    }

    /// The dimensions in acquisition order, slowest first.
    #[must_use]
    pub fn dimensions(&self) -> &[Dimension] {
        &self.dimensions
    }

    /// For each dimension in acquisition order its position in the store, 0 slowest.
    #[must_use]
    pub fn storage_positions(&self) -> &[usize] {
        &self.storage_positions
    }

    /// For each position in the store, 0 slowest, the index of the dimension in acquisition order.
    #[must_use]
    pub fn storage_order(&self) -> Vec<usize> {
        let mut order = vec![0; self.storage_positions.len()];
        for (dimension, &position) in self.storage_positions.iter().enumerate() {
            order[position] = dimension;
        }
        order
    }

    /// The codec.
    #[must_use]
    pub fn codec(&self) -> CodecConfig {
        self.codec
    }

    /// How inner dimensions are reduced.
    #[must_use]
    pub fn reduce(&self) -> ReduceMethod {
        self.reduce
    }

    /// How the append dimension is folded.
    #[must_use]
    pub fn append_reduce(&self) -> ReduceMethod {
        self.append_reduce
    }

    /// The most pyramid levels, full resolution included; 0 leaves it to the sizes.
    #[must_use]
    pub fn levels_max(&self) -> u32 {
        self.levels_max
    }

    /// Whether levels stop as soon as one dimension fits one chunk.
    #[must_use]
    pub fn preserve_aspect_ratio(&self) -> bool {
        self.preserve_aspect_ratio
    }

    /// The value readers see where no chunk was written.
    #[must_use]
    pub fn fill_value(&self) -> FillValue {
        self.fill_value
    }

    /// User attributes of the array, or of its group when it has a pyramid.
    #[must_use]
    pub fn attributes(&self) -> &Map<String, Value> {
        &self.attributes
    }

    /// Length of the leading run of append dimensions: those with chunks of one element, cut behind a downsampled one, at least 1.
    #[must_use]
    pub fn append_dimensions(&self) -> usize {
        validate::append_dimensions(&self.dimensions)
    }

    /// Whether the last append dimension is folded from level to level.
    #[must_use]
    pub fn append_downsample(&self) -> bool {
        self.dimensions[self.append_dimensions() - 1].downsample
    }

    /// Whether a pyramid is written.
    #[must_use]
    pub fn is_multiscale(&self) -> bool {
        self.dimensions[self.append_dimensions()..].iter().any(|dimension| dimension.downsample)
    }
}

/// Collects the description of an array; [`ArrayBuilder::build`] checks it.
#[derive(Debug, Clone)]
pub struct ArrayBuilder {
    config: ArrayConfig,
    storage_order: Option<Vec<String>>,
}

impl ArrayBuilder {
    /// Sets the path of the array's node inside the store, such as `a/b`; the default is the root.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.config.name = name.into();
        self
    }

    /// Adds a dimension behind the ones added before; the last is the fastest.
    #[must_use]
    pub fn dimension(mut self, dimension: Dimension) -> Self {
        self.config.dimensions.push(dimension);
        self.config.storage_positions.clear();
        self
    }

    /// Replaces all dimensions.
    #[must_use]
    pub fn dimensions(mut self, dimensions: Vec<Dimension>) -> Self {
        self.config.dimensions = dimensions;
        self.config.storage_positions.clear();
        self
    }

    /// Sets the order of the dimensions in the store, by name, slowest first; the default is the acquisition order.
    #[must_use]
    pub fn storage_order<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.storage_order = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the position of each dimension in the store, 0 slowest; the default is the acquisition order.
    #[must_use]
    pub fn storage_positions(mut self, positions: impl Into<Vec<usize>>) -> Self {
        self.config.storage_positions = positions.into();
        self
    }

    /// Sets the codec.
    #[must_use]
    pub fn codec(mut self, codec: CodecConfig) -> Self {
        self.config.codec = codec;
        self
    }

    /// Sets how inner dimensions are reduced.
    #[must_use]
    pub fn reduce(mut self, method: ReduceMethod) -> Self {
        self.config.reduce = method;
        self
    }

    /// Sets how the append dimension is folded: mean, min or max.
    #[must_use]
    pub fn append_reduce(mut self, method: ReduceMethod) -> Self {
        self.config.append_reduce = method;
        self
    }

    /// Limits the number of levels, full resolution included; 0 leaves it to the sizes.
    #[must_use]
    pub fn levels_max(mut self, levels: u32) -> Self {
        self.config.levels_max = levels;
        self
    }

    /// Stops the pyramid as soon as one dimension fits one chunk.
    #[must_use]
    pub fn preserve_aspect_ratio(mut self, preserve: bool) -> Self {
        self.config.preserve_aspect_ratio = preserve;
        self
    }

    /// Sets the value readers see where no chunk was written.
    #[must_use]
    pub fn fill_value(mut self, value: FillValue) -> Self {
        self.config.fill_value = value;
        self
    }

    /// Sets a user attribute, replacing one of the same key.
    #[must_use]
    pub fn attribute(mut self, key: impl Into<String>, value: Value) -> Self {
        self.config.attributes.insert(key.into(), value);
        self
    }

    /// Length of the leading run of append dimensions, as [`ArrayConfig::append_dimensions`], of what was described so far.
    pub(crate) fn append_dimensions(&self) -> usize {
        validate::append_dimensions(&self.config.dimensions)
    }

    /// Checks the description.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`] that names the field and the remedy.
    pub fn build(mut self) -> Result<ArrayConfig, Error> {
        if let Some(order) = self.storage_order.take() {
            self.config.storage_positions = validate::positions_of_names(&self.config.dimensions, &order)?;
        } else if self.config.storage_positions.is_empty() {
            self.config.storage_positions = (0..self.config.dimensions.len()).collect();
        }
        validate::array(&self.config)?;
        Ok(self.config)
    }
}
