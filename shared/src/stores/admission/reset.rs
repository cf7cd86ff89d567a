//! A reset of a user's windows: all of them are cleared at once, and what was admitted in the
//! month is written down beside it, because it stays charged.

use super::expression::Expression;
use super::windows::{attribute, number_of, windows_of};
use crate::clock::Timestamp;
use crate::limits::{Window, WindowId};
use crate::stores::tables::admission::{RESETS, forgiven, month_of_forgiven};
use crate::stores::{Item, number};

/// What of a month was leased by Valkey and taken out of it again before anybody spent it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unspent {
    /// The month, as its window counts months.
    pub month: i64,
    pub amount: u64,
}

/// The part of an update that clears every window in `item`. Requests count in them while the item
/// is on its way here, so the sum is taken as the update finds it; who counts under an older epoch
/// afterwards is refused by the epoch.
pub(in crate::stores) fn reset(
    item: &Item,
    unspent: Option<Unspent>,
    now: Timestamp,
) -> Expression {
    let mut it = Expression::default();
    let (resets, before) = (it.name(RESETS), item.get(RESETS).and_then(number_of::<u64>));
    let next = it.value(number(before.unwrap_or(0) + 1));
    it.set(format!("{resets} = {next}"));
    for (id, counter) in windows_of(item) {
        let name = |attribute: &str| format!("{}.{attribute}", id.as_str());
        if id == WindowId::MONTH {
            let (newest, month) = (it.name(name(attribute::NEWEST)), counter.newest.0);
            let read = it.value(number(month));
            let is_still_that_month = format!("{newest} = {read}");
            it.require(is_still_that_month);
            forgive(&mut it, month, unspent, item);
        }
        for attribute in attribute::ALL {
            let cleared = it.name(name(attribute));
            it.remove(cleared);
        }
    }
    let this_month = Window::Month.bucket_at(now);
    // The month before is kept for whoever closes it.
    let is_over = |name: &&String| month_of_forgiven(name).is_some_and(|at| at < this_month - 1);
    for name in item.keys().filter(is_over) {
        let over = it.name(name.clone());
        it.remove(over);
    }
    it
}

fn forgive(it: &mut Expression, month: i64, unspent: Option<Unspent>, item: &Item) {
    let sum = it.name(format!("{}.{}", WindowId::MONTH.as_str(), attribute::SUM));
    let unspent = unspent.filter(|unspent| unspent.month == month);
    let unspent = i128::from(unspent.map_or(0, |unspent| unspent.amount));
    let before: i128 = item
        .get(&forgiven(month))
        .and_then(number_of)
        .unwrap_or_default();
    let base = it.value(number(before - unspent));
    let total = it.name(forgiven(month));
    it.set(format!("{total} = {sum} + {base}"));
}
