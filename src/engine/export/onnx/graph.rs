//! A graph that grows operator by operator. What an operator answers is known by its name.

use super::proto;
use prost::Message;

/// The newest operators used: those of 2022, which any current runtime has.
const OPERATORS: i64 = 17;
const ML_OPERATORS: i64 = 3;
/// The file format that goes with them.
const FORMAT: i64 = 8;

/// Types of elements, by ONNX's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Float = 1,
    Int64 = 7,
    String = 8,
    Double = 11,
}

/// An attribute's value.
pub(crate) enum Attribute {
    Int(i64),
    Float(f32),
    Text(&'static str),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Texts(Vec<Vec<u8>>),
}

#[derive(Default)]
pub(crate) struct Graph {
    graph: proto::Graph,
    count: usize,
}

impl Graph {
    fn name(&mut self, of: &str) -> String {
        loop {
            self.count += 1;
            let name = format!("/{of}_{}", self.count);
            // A column may be called so.
            if self.graph.input.iter().all(|input| input.name != name) {
                return name;
            }
        }
    }

    /// An input of shape `[rows, 1]`.
    pub(crate) fn input(&mut self, name: &str, of: Type, said: String) {
        self.graph.input.push(value(name, of, 1, said));
    }

    /// Calls what an operator answers `[rows, columns]` by a name that people know.
    pub(crate) fn output(&mut self, name: &str, of: Type, columns: usize, from: &str, said: &str) {
        let mut name = name.to_owned();
        // A column may be called so.
        while self.graph.input.iter().any(|input| input.name == name) {
            name.push('_');
        }
        self.push("Identity", "", &[from], vec![name.clone()], Vec::new());
        self.graph
            .output
            .push(value(&name, of, columns, said.into()));
    }

    fn push(
        &mut self,
        op: &str,
        domain: &str,
        inputs: &[&str],
        outputs: Vec<String>,
        attributes: Vec<proto::Attribute>,
    ) {
        let name = self.name(op);
        self.graph.node.push(proto::Node {
            input: inputs.iter().map(|i| (*i).to_owned()).collect(),
            output: outputs,
            name,
            op_type: op.into(),
            attribute: attributes,
            domain: domain.into(),
        });
    }

    pub(crate) fn op(&mut self, op: &str, inputs: &[&str]) -> String {
        self.op_with(op, inputs, Vec::new())
    }

    pub(crate) fn op_with(
        &mut self,
        op: &str,
        inputs: &[&str],
        attributes: Vec<(&str, Attribute)>,
    ) -> String {
        self.any(op, "", inputs, attributes)
    }

    /// An operator for classic models.
    pub(crate) fn ml(
        &mut self,
        op: &str,
        inputs: &[&str],
        attributes: Vec<(&str, Attribute)>,
    ) -> String {
        self.any(op, "ai.onnx.ml", inputs, attributes)
    }

    fn any(
        &mut self,
        op: &str,
        domain: &str,
        inputs: &[&str],
        attributes: Vec<(&str, Attribute)>,
    ) -> String {
        let out = self.name("value");
        let attributes = attributes.into_iter().map(|(name, of)| attribute(name, of));
        let attributes = attributes.collect();
        self.push(op, domain, inputs, vec![out.clone()], attributes);
        out
    }

    fn tensor(&mut self, dims: &[usize], of: Type, raw: Vec<u8>) -> String {
        let name = self.name("constant");
        self.graph.initializer.push(proto::Tensor {
            dims: dims.iter().map(|d| *d as i64).collect(),
            data_type: of as i32,
            string_data: Vec::new(),
            name: name.clone(),
            raw_data: Some(raw),
        });
        name
    }

    pub(crate) fn double(&mut self, value: f64) -> String {
        self.doubles(&[value], &[1, 1])
    }

    pub(crate) fn doubles(&mut self, values: &[f64], dims: &[usize]) -> String {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(dims, Type::Double, raw)
    }

    pub(crate) fn floats(&mut self, values: &[f32], dims: &[usize]) -> String {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(dims, Type::Float, raw)
    }

    pub(crate) fn ints(&mut self, values: &[i64], dims: &[usize]) -> String {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(dims, Type::Int64, raw)
    }

    pub(crate) fn text(&mut self, value: &str) -> String {
        let name = self.name("constant");
        self.graph.initializer.push(proto::Tensor {
            dims: vec![1, 1],
            data_type: Type::String as i32,
            string_data: vec![value.as_bytes().to_vec()],
            name: name.clone(),
            raw_data: None,
        });
        name
    }

    pub(crate) fn cast(&mut self, value: &str, to: Type) -> String {
        self.op_with("Cast", &[value], vec![("to", Attribute::Int(to as i64))])
    }

    /// Doubles kept within bounds.
    pub(crate) fn clip(&mut self, value: &str, low: f64, high: f64) -> String {
        let (low, high) = (self.doubles(&[low], &[]), self.doubles(&[high], &[]));
        self.op("Clip", &[value, &low, &high])
    }

    /// An operator of a value and a number, both doubles.
    pub(crate) fn with(&mut self, op: &str, value: &str, number: f64) -> String {
        let number = self.double(number);
        self.op(op, &[value, &number])
    }

    /// Columns side by side; one alone as it is.
    pub(crate) fn beside(&mut self, columns: &[String]) -> String {
        match columns {
            [own] => own.clone(),
            all => {
                let all: Vec<&str> = all.iter().map(String::as_str).collect();
                self.op_with("Concat", &all, vec![("axis", Attribute::Int(1))])
            }
        }
    }

    /// Some columns of doubles or floats.
    pub(crate) fn columns(&mut self, value: &str, columns: &[usize]) -> String {
        let columns: Vec<i64> = columns.iter().map(|c| *c as i64).collect();
        let columns = self.ints(&columns, &[columns.len()]);
        let axis = vec![("axis", Attribute::Int(1))];
        self.op_with("Gather", &[value, &columns], axis)
    }

    /// Doubles `[rows, 1]` taken from points straight to points, `from` rising; beyond them the outermost stand.
    pub(crate) fn piecewise(&mut self, x: &str, from: &[f64], to: &[f64]) -> String {
        let n = from.len().min(to.len()).saturating_sub(1);
        let Some(first) = to.first().filter(|_| n > 0) else {
            let none = to.first().copied().unwrap_or(0.0);
            return self.with("Min", x, none);
        };
        // Halves, so that the difference of two huge numbers does not overflow.
        let low: Vec<f64> = from[..n].iter().map(|x| x / 2.0).collect();
        let length = |pair: &[f64]| pair[1] / 2.0 - pair[0] / 2.0;
        let lengths: Vec<f64> = from.windows(2).map(length).take(n).collect();
        let rises: Vec<f64> = to
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .take(n)
            .collect();
        let half = self.with("Mul", x, 0.5);
        let low = self.doubles(&low, &[1, n]);
        let above = self.op("Sub", &[&half, &low]);
        let lengths = self.doubles(&lengths, &[1, n]);
        let share = self.op("Div", &[&above, &lengths]);
        let share = self.clip(&share, 0.0, 1.0);
        let rises = self.doubles(&rises, &[n, 1]);
        let risen = self.op("MatMul", &[&share, &rises]);
        self.with("Add", &risen, *first)
    }

    /// Codes `[rows, 1]` looked up in a table of floats `[codes][width]`: `[rows, width]`.
    pub(crate) fn look_up(&mut self, table: &[f32], width: usize, codes: &str) -> String {
        let codes = self.flat(codes);
        let table = self.floats(table, &[table.len() / width.max(1), width]);
        self.op_with(
            "Gather",
            &[&table, &codes],
            vec![("axis", Attribute::Int(0))],
        )
    }

    /// `[rows, 1]` as `[rows]`.
    pub(crate) fn flat(&mut self, value: &str) -> String {
        let shape = self.ints(&[-1], &[1]);
        self.op("Reshape", &[value, &shape])
    }

    /// The file.
    pub(crate) fn file(
        mut self,
        name: &str,
        said: &str,
        properties: Vec<(&str, String)>,
    ) -> Vec<u8> {
        self.graph.name = name.into();
        let set = |domain: &str, version: i64| proto::OperatorSet {
            domain: domain.into(),
            version,
        };
        let properties = properties.into_iter().map(|(key, value)| proto::Property {
            key: key.into(),
            value,
        });
        let model = proto::Model {
            ir_version: FORMAT,
            producer_name: "insight".into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            doc_string: said.into(),
            graph: Some(self.graph),
            opset_import: vec![set("", OPERATORS), set("ai.onnx.ml", ML_OPERATORS)],
            metadata_props: properties.collect(),
        };
        model.encode_to_vec()
    }
}

fn attribute(name: &str, of: Attribute) -> proto::Attribute {
    let mut out = proto::Attribute {
        name: name.into(),
        ..proto::Attribute::default()
    };
    match of {
        Attribute::Int(value) => (out.i, out.kind) = (Some(value), 2),
        Attribute::Float(value) => (out.f, out.kind) = (Some(value), 1),
        Attribute::Text(value) => (out.s, out.kind) = (Some(value.as_bytes().to_vec()), 3),
        Attribute::Floats(values) => (out.floats, out.kind) = (values, 6),
        Attribute::Ints(values) => (out.ints, out.kind) = (values, 7),
        Attribute::Texts(values) => (out.strings, out.kind) = (values, 8),
    }
    out
}

fn value(name: &str, of: Type, columns: usize, said: String) -> proto::Value {
    let rows = proto::Dimension {
        value: None,
        parameter: Some("rows".into()),
    };
    let columns = proto::Dimension {
        value: Some(columns as i64),
        parameter: None,
    };
    proto::Value {
        name: name.into(),
        of: Some(proto::Type {
            tensor: Some(proto::TensorType {
                elem_type: of as i32,
                shape: Some(proto::Shape {
                    dim: vec![rows, columns],
                }),
            }),
        }),
        doc_string: said,
    }
}
