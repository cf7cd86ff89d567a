//! One update expression, put together piece by piece, with every name and value behind a
//! placeholder.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;

/// An update and its condition in the making.
#[derive(Clone, Default)]
pub(in crate::stores) struct Expression {
    names: Vec<String>,
    values: Vec<AttributeValue>,
    conditions: Vec<String>,
    sets: Vec<String>,
    removes: Vec<String>,
}

impl Expression {
    /// A placeholder for an attribute's name.
    pub(in crate::stores) fn name(&mut self, name: impl Into<String>) -> String {
        let name = name.into();
        let index = self.names.iter().position(|known| *known == name);
        let index = index.unwrap_or_else(|| {
            self.names.push(name);
            self.names.len() - 1
        });
        format!("#{index}")
    }

    /// A placeholder for a value.
    pub(in crate::stores) fn value(&mut self, value: AttributeValue) -> String {
        let index = self.values.iter().position(|known| *known == value);
        let index = index.unwrap_or_else(|| {
            self.values.push(value);
            self.values.len() - 1
        });
        format!(":{index}")
    }

    pub(in crate::stores) fn require(&mut self, condition: String) {
        self.conditions.push(condition);
    }

    pub(in crate::stores) fn set(&mut self, assignment: String) {
        self.sets.push(assignment);
    }

    pub(in crate::stores) fn remove(&mut self, name: String) {
        self.removes.push(name);
    }

    pub(in crate::stores) fn changes_nothing(&self) -> bool {
        self.sets.is_empty() && self.removes.is_empty()
    }

    pub(in crate::stores) fn condition(&self) -> String {
        self.conditions.join(" AND ")
    }

    pub(in crate::stores) fn update(&self) -> String {
        let part = |word: &str, parts: &[String]| match parts {
            [] => String::new(),
            parts => format!("{word} {} ", parts.join(", ")),
        };
        let update = part("SET", &self.sets) + &part("REMOVE", &self.removes);
        update.trim_end().to_owned()
    }

    /// Puts the expression into a request.
    pub(in crate::stores) fn apply(
        self,
        request: UpdateItemFluentBuilder,
    ) -> UpdateItemFluentBuilder {
        let update = self.update();
        let condition = Some(self.condition()).filter(|condition| !condition.is_empty());
        let mut request = request
            .update_expression(update)
            .set_condition_expression(condition);
        for (index, name) in self.names.into_iter().enumerate() {
            request = request.expression_attribute_names(format!("#{index}"), name);
        }
        for (index, value) in self.values.into_iter().enumerate() {
            request = request.expression_attribute_values(format!(":{index}"), value);
        }
        request
    }

    /// Puts the expression into a transaction's update.
    pub(in crate::stores) fn apply_to_write(self, mut update: UpdateBuilder) -> UpdateBuilder {
        update = update
            .update_expression(self.update())
            .condition_expression(self.condition());
        for (index, name) in self.names.into_iter().enumerate() {
            update = update.expression_attribute_names(format!("#{index}"), name);
        }
        for (index, value) in self.values.into_iter().enumerate() {
            update = update.expression_attribute_values(format!(":{index}"), value);
        }
        update
    }
}
