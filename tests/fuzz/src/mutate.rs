//! Mutations of JSON that keep it JSON: one value somewhere in it becomes another.

use serde_json::{Value, json};

/// A generator for choices (SplitMix64, Steele and others 2014).
pub struct Choices(pub u64);

impl Choices {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n.max(1) as u64) as usize
    }
}

/// How many values there are, this one and all within.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

fn nth(value: &mut Value, at: &mut usize, change: &mut dyn FnMut(&mut Value)) -> bool {
    if *at == 0 {
        change(value);
        return true;
    }
    *at -= 1;
    match value {
        Value::Array(items) => items.iter_mut().any(|v| nth(v, at, change)),
        Value::Object(fields) => fields.values_mut().any(|v| nth(v, at, change)),
        _ => false,
    }
}

/// Changes one value, or a few.
pub fn mutate(value: &mut Value, choices: &mut Choices) {
    for _ in 0..=choices.below(3) {
        let (all, donor) = (count(value), value.clone());
        let mut at = choices.below(all);
        nth(value, &mut at, &mut |own| change(own, &donor, choices));
    }
}

fn change(own: &mut Value, donor: &Value, choices: &mut Choices) {
    match own {
        Value::Array(items) if !items.is_empty() && choices.below(4) > 0 => {
            let (i, j) = (choices.below(items.len()), choices.below(items.len()));
            match choices.below(5) {
                0 => drop(items.remove(i)),
                1 => items.insert(j, items[i].clone()),
                2 => items.swap(i, j),
                3 => items.truncate(i),
                _ => change(&mut items[i], donor, choices),
            }
        }
        Value::Object(fields) if !fields.is_empty() && choices.below(4) > 0 => {
            let key = fields.keys().nth(choices.below(fields.len())).cloned();
            if let Some(key) = key {
                fields.remove(&key);
            }
        }
        Value::Number(number) if choices.below(3) == 0 => {
            let one = [-1.0, 1.0, 0.5, -0.5][choices.below(4)];
            let moved = number.as_f64().unwrap_or(0.0) + one;
            *own = if moved.fract() == 0.0 && moved.abs() < 1e15 {
                json!(moved as i64)
            } else {
                json!(moved)
            };
        }
        _ => {
            let numbers = [
                json!(0),
                json!(1),
                json!(2),
                json!(-1),
                json!(0.5),
                json!(255),
                json!(65_536),
                json!(u32::MAX),
                json!(1u64 << 32),
                json!(1u64 << 53),
                json!(i64::MIN),
                json!(i64::MAX),
                json!(u64::MAX),
                json!(1e300),
                json!(-1e300),
                json!(1e-310),
            ];
            *own = match choices.below(8) {
                0 => Value::Null,
                1 => json!([]),
                2 => json!({}),
                3 => json!(["", "NaN", "é\u{0}", "2024-02-30"][choices.below(4)]),
                4 => json!(choices.below(2) == 0),
                5 => {
                    let mut copied = Value::Null;
                    let (mut donor, mut at) = (donor.clone(), choices.below(count(donor)));
                    nth(&mut donor, &mut at, &mut |found| copied = found.take());
                    copied
                }
                _ => numbers[choices.below(numbers.len())].clone(),
            };
        }
    }
}
