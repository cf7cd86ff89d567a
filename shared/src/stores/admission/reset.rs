//! A reset of a user's windows: all of them are cleared at once, and what was admitted in the
//! month is written down beside it, because it stays charged.

use super::expression::Expression;
use super::windows::{attribute, number_of, windows_of};
use crate::clock::Timestamp;
use crate::limits::{Window, WindowId};
use crate::stores::tables::admission::{RESETS, forgiven, month_of_forgiven};
use crate::stores::{Item, number};

/// The part of an update that clears every window in `item`. Requests count in them while the item
/// is on its way here, so the sum is taken as the update finds it; who counts under an older epoch
/// afterwards is refused by the epoch.
pub(in crate::stores) fn reset(item: &Item, now: Timestamp) -> Expression {
    // Past months are kept for whoever closes them, as long as their window would be.
    let oldest_kept = Window::Month.bucket_at(now) - Window::Month.kept() + 1;
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
            if month >= oldest_kept {
                forgive(&mut it, month, item);
            }
            let past = counter.older.into_iter().chain(counter.previous);
            for (month, count) in past.filter(|(month, _)| *month >= oldest_kept) {
                let total = it.name(forgiven(month));
                let charged = it.value(number(count + forgiven_in(item, month)));
                it.set(format!("{total} = {charged}"));
            }
        }
        for attribute in attribute::ALL {
            let cleared = it.name(name(attribute));
            it.remove(cleared);
        }
    }
    let is_over = |name: &&String| month_of_forgiven(name).is_some_and(|at| at < oldest_kept);
    for name in item.keys().filter(is_over) {
        let over = it.name(name.clone());
        it.remove(over);
    }
    it
}

fn forgive(it: &mut Expression, month: i64, item: &Item) {
    let sum = it.name(format!("{}.{}", WindowId::MONTH.as_str(), attribute::SUM));
    let before = it.value(number(forgiven_in(item, month)));
    let total = it.name(forgiven(month));
    it.set(format!("{total} = {sum} + {before}"));
}

/// What resets have taken out of a month so far.
pub(super) fn forgiven_in(item: &Item, month: i64) -> u64 {
    let forgiven = item.get(&forgiven(month));
    forgiven.and_then(number_of).unwrap_or_default()
}
