//! The periods of users: who is to be gone through, what a closed period came to, limits that an
//! admin gave until some day, and notices of how much of a month is used.
//!
//! Every write has a condition that holds once, so whoever is second, or comes again after a crash,
//! changes nothing.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::Update;

use super::accounts::{create, pauses, wait};
use super::admission::{Expression, month_of};
use super::tables::admission::{
    self, ADMISSION_SK, CLOSED, POSITIONS_PK, PeriodsItem, PositionItem, TOLD, position_sk,
};
use super::tables::identity::{
    self, NOTICE_SK, NoticeItem, QUOTA_OVERRIDE, USER_SK, USERS_BY_SHARD, UserItem,
};
use super::tables::usage::{self, PeriodItem};
use super::tables::{PK, SK};
use super::transaction::{IntoWrite, NotWritten, transact};
use super::{
    DynamoDb, Item, StoreError, UserStore, batch_get, from_item, if_condition_held, number, text,
    to_item,
};
use crate::audit::{Action, Actor, AuditEntry};
use crate::auth::administration::told_of_override;
use crate::auth::{Tier, User};
use crate::clock::Timestamp;
use crate::config::UserTables;
use crate::ids::{EventId, UserId};
use crate::limits::{Counter, Period, Told};

/// How many users are read at once: DynamoDB takes a hundred keys, and each user has two items.
const PAGE: i32 = 50;
/// How long it is worth knowing where to go on.
const POSITION_LIFETIME: Duration = Duration::from_hours(24);
/// A notice that nobody has carried for so long is old news.
const NOTICE_LIFETIME: Duration = Duration::from_hours(7 * 24);

/// The keys of the index.
const SHARD: &str = "shard";
const ID: &str = "id";

/// A user, as far as periods are concerned.
#[derive(Debug)]
pub struct Metered {
    pub user: User,
    /// What was counted in the month's window; `None` where nothing ever was.
    pub month: Option<Counter>,
    /// The newest period that is closed.
    pub closed: Option<Period>,
    told: Option<i64>,
}

impl Metered {
    /// Whether the user has been told this, or more.
    pub fn was_told(&self, told: Told) -> bool {
        self.told
            .is_some_and(|before| before >= admission::told(told))
    }
}

/// Some users of a shard, in the order of their ids.
pub struct UsersPage {
    /// Those whose items are there; an item that cannot be read keeps nobody else back.
    pub users: Vec<(UserId, Result<Metered, StoreError>)>,
    /// Behind whom the next page begins, if there is one.
    pub goes_on_behind: Option<UserId>,
}

/// What a period of a user came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClosedPeriod {
    pub user: UserId,
    pub period: Period,
    /// What admission counted; `None` where it had no month to count in.
    pub charged: Option<u64>,
    /// Whether admission had a month to count in for a part of the period alone, so that more was let
    /// in than was charged.
    pub is_partial: bool,
    /// What is recorded.
    pub recorded: u64,
    /// The month's limit at the end of the period; `None` is unlimited.
    pub limit: Option<u64>,
    pub tier: Tier,
}

/// That a user has used much of a month.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Notice {
    pub user: UserId,
    pub told: Told,
    pub used: u64,
    pub limit: u64,
}

/// Users with their periods.
#[derive(Clone)]
pub struct PeriodStore {
    users: UserStore,
    usage: String,
}

impl PeriodStore {
    pub fn new(dynamodb: &DynamoDb, tables: UserTables, usage_table: String) -> Self {
        Self {
            users: UserStore::new(dynamodb, tables),
            usage: usage_table,
        }
    }

    /// The next users of a shard, by way of the index of all users. The index follows the table a
    /// little later, so somebody who has just registered may be missing.
    pub async fn users_of_shard(
        &self,
        shard: u8,
        after: Option<UserId>,
    ) -> Result<UsersPage, StoreError> {
        let is_behind = after.map(|_| " AND #id > :after").unwrap_or_default();
        let mut query = self
            .users
            .client
            .query()
            .table_name(&self.users.identity)
            .index_name(USERS_BY_SHARD)
            .key_condition_expression(format!("#shard = :shard{is_behind}"))
            .expression_attribute_names("#shard", SHARD)
            .expression_attribute_values(":shard", text(identity::user_shard(shard)))
            .limit(PAGE);
        if let Some(after) = after {
            query = query
                .expression_attribute_names("#id", ID)
                .expression_attribute_values(":after", text(after));
        }
        let answer = query.send().await;
        let answer = answer.map_err(|error| StoreError::from_sdk("Query", error))?;
        let id_of = |item: &Item| item.get(ID)?.as_s().ok()?.parse::<UserId>().ok();
        let ids: Vec<UserId> = answer.items().iter().filter_map(id_of).collect();
        let has_more = answer.last_evaluated_key().is_some();
        Ok(UsersPage {
            goes_on_behind: ids.last().copied().filter(|_| has_more),
            users: self.metered(&ids).await?,
        })
    }

    /// The users with these ids, without those who are gone.
    async fn metered(
        &self,
        ids: &[UserId],
    ) -> Result<Vec<(UserId, Result<Metered, StoreError>)>, StoreError> {
        let UserStore {
            identity: records,
            admission: standings,
            ..
        } = &self.users;
        let record = |id: &UserId| key(identity::user_pk(*id), USER_SK);
        let standing = |id: &UserId| key(admission::user_pk(*id), ADMISSION_SK);
        let mut read = batch_get(
            &self.users.client,
            HashMap::from([
                (records.clone(), ids.iter().map(record).collect()),
                (standings.clone(), ids.iter().map(standing).collect()),
            ]),
        )
        .await?;
        let mut by_pk = |table: &str| -> HashMap<String, Item> {
            let items = read.remove(table).unwrap_or_default().into_iter();
            items
                .filter_map(|item| Some((pk_of(&item)?, item)))
                .collect()
        };
        let (mut records, mut standings) = (by_pk(records), by_pk(standings));
        let found = ids.iter().filter_map(|id| {
            let record = records.remove(&identity::user_pk(*id))?;
            let standing = standings.remove(&admission::user_pk(*id))?;
            Some((*id, metered(record, standing)))
        });
        Ok(found.collect())
    }

    /// Writes down what a period came to, and says whether it is the first to do so.
    pub async fn archive(&self, closed: ClosedPeriod) -> Result<bool, StoreError> {
        let item = PeriodItem {
            pk: usage::user_pk(closed.user),
            sk: usage::period_sk(closed.period),
            charged: closed.charged,
            partial: closed.is_partial,
            recorded: closed.recorded,
            limit: closed.limit,
            tier: closed.tier,
            ttl: closed.period.expires_at().seconds(),
        };
        let is_not_there_yet = "attribute_not_exists(pk)";
        let put = self
            .users
            .client
            .put_item()
            .table_name(&self.usage)
            .set_item(Some(to_item(item)?))
            .condition_expression(is_not_there_yet);
        let put = if_condition_held("PutItem", put.send().await)?;
        Ok(put.is_some())
    }

    /// Notes that a user's periods are closed up to and including `last`.
    pub async fn closed_up_to(&self, user: UserId, last: Period) -> Result<(), StoreError> {
        let is_newer =
            "attribute_exists(pk) AND (attribute_not_exists(#closed) OR #closed < :last)";
        let update = self
            .users
            .client
            .update_item()
            .table_name(&self.users.admission)
            .key(PK, text(admission::user_pk(user)))
            .key(SK, text(ADMISSION_SK))
            .update_expression("SET #closed = :last")
            .condition_expression(is_newer)
            .expression_attribute_names("#closed", CLOSED)
            .expression_attribute_values(":last", number(last.bucket()));
        // Somebody else has, or there is no such user any more.
        if_condition_held("UpdateItem", update.send().await).map(drop)
    }

    /// Gives a user the tier's limits again, if those in their place have expired, and says whether
    /// it did. It is a change of the user's record, and raises the epoch.
    pub async fn drop_expired_override(
        &self,
        id: UserId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        for pause in std::iter::once(None).chain(pauses().map(Some)) {
            wait(pause).await;
            let Some(user) = self.users.user(id).await? else {
                return Ok(false);
            };
            let expired = user.quota_override.filter(|it| !it.is_in_force(now));
            let Some(expired) = expired else {
                return Ok(false);
            };
            let entry = AuditEntry::new(now, Actor::System, Action::QuotaOverrideEnded, id);
            let changes = vec![
                (QUOTA_OVERRIDE, None),
                ("updated_at", Some(number(now.millis()))),
            ];
            let writes = vec![
                self.users.record_moves_on(&user, changes),
                self.users
                    .standing_follows(&user, user.is_active, Expression::default()),
                self.users.audited(&told_of_override(entry, &expired))?,
            ];
            match transact(&self.users.client, writes).await {
                Ok(()) => return Ok(true),
                Err(NotWritten::Condition(_)) => {}
                Err(NotWritten::Failed(error)) => return Err(error),
            }
        }
        Err(StoreError::Contended {
            operation: "drop_expired_override",
        })
    }

    /// Leaves a notice in the outbox, unless its user was told this or more, and says whether it
    /// did.
    pub async fn tell(&self, notice: Notice, now: Timestamp) -> Result<bool, StoreError> {
        let id = EventId::new(now);
        let item = NoticeItem {
            pk: identity::outbox_pk(id),
            sk: NOTICE_SK.to_owned(),
            id,
            user_id: notice.user,
            period: notice.told.period.to_string(),
            percent: notice.told.threshold.percent(),
            used: notice.used,
            limit: notice.limit,
            created_at: now.millis(),
            ttl: now.plus(NOTICE_LIFETIME).seconds(),
        };
        let is_more = "attribute_exists(pk) AND (attribute_not_exists(#told) OR #told < :told)";
        let told = Update::builder()
            .table_name(&self.users.admission)
            .key(PK, text(admission::user_pk(notice.user)))
            .key(SK, text(ADMISSION_SK))
            .update_expression("SET #told = :told")
            .condition_expression(is_more)
            .expression_attribute_names("#told", TOLD)
            .expression_attribute_values(":told", number(admission::told(notice.told)))
            .into_write();
        let writes = vec![create(&self.users.identity, item)?, told];
        match transact(&self.users.client, writes).await {
            Ok(()) => Ok(true),
            Err(NotWritten::Condition(_)) => Ok(false),
            Err(NotWritten::Failed(error)) => Err(error),
        }
    }

    /// Behind whom a shard is to be gone on with; `None` from its beginning.
    pub async fn position(&self, shard: u8, now: Timestamp) -> Result<Option<UserId>, StoreError> {
        let pk = POSITIONS_PK.to_owned();
        let item: Option<PositionItem> = self
            .users
            .get(&self.users.admission, pk, position_sk(shard))
            .await?;
        Ok(item.filter(|it| now.seconds() < it.ttl).map(|it| it.after))
    }

    /// Notes behind whom a shard is to be gone on with.
    pub async fn go_on_behind(
        &self,
        shard: u8,
        after: UserId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let item = PositionItem {
            pk: POSITIONS_PK.to_owned(),
            sk: position_sk(shard),
            after,
            ttl: now.plus(POSITION_LIFETIME).seconds(),
        };
        let put = self
            .users
            .client
            .put_item()
            .table_name(&self.users.admission);
        let put = put.set_item(Some(to_item(item)?)).send().await;
        put.map(|_| ())
            .map_err(|error| StoreError::from_sdk("PutItem", error))
    }

    /// Forgets where a shard was to be gone on with: it was gone through to its end.
    pub async fn is_through(&self, shard: u8) -> Result<(), StoreError> {
        let delete = self
            .users
            .client
            .delete_item()
            .table_name(&self.users.admission)
            .key(PK, text(POSITIONS_PK))
            .key(SK, text(position_sk(shard)));
        let deleted = delete.send().await;
        deleted
            .map(|_| ())
            .map_err(|error| StoreError::from_sdk("DeleteItem", error))
    }
}

fn key(pk: String, sk: &str) -> Item {
    HashMap::from([(PK.to_owned(), text(pk)), (SK.to_owned(), text(sk))])
}

fn pk_of(item: &Item) -> Option<String> {
    item.get(PK)?.as_s().ok().cloned()
}

fn metered(record: Item, standing: Item) -> Result<Metered, StoreError> {
    let user = User::from(from_item::<UserItem>(record)?);
    let month = month_of(&standing);
    let periods: PeriodsItem = from_item(standing)?;
    Ok(Metered {
        user,
        month,
        closed: periods.closed.map(Period::of_bucket),
        told: periods.told,
    })
}
