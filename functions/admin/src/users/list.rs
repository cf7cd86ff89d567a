//! `GET /api/v1/admin/users`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use turnpike_shared::admission::Caller;
use turnpike_shared::auth::{EmailAddress, Tier};
use turnpike_shared::errors::{FieldError, Problem};
use turnpike_shared::limits::policy::is_name;
use turnpike_shared::stores::{UserPage, UsersListed};
use turnpike_shared::web::fields::Errors;
use turnpike_shared::web::{ApiQuery, ListOf, ListQuery, Page, UserObject};
use utoipa::IntoParams;

use crate::App;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UsersQuery {
    /// How many items to answer with, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before; left out for the first page.
    cursor: Option<String>,
    /// The user with this address: the whole of it, compared without case.
    #[param(example = "ada@example.com")]
    email: Option<String>,
    /// The users of this tier.
    #[param(example = "free")]
    tier: Option<String>,
}

/// What is asked for, understood.
struct Selection {
    email: Option<EmailAddress>,
    tier: Option<Tier>,
}

impl Selection {
    fn parse(email: Option<&str>, tier: Option<&str>) -> Result<Self, Problem> {
        let mut errors = Errors::default();
        let email = email.map(|text| {
            let detail = "This is not an e-mail address; a part of one finds nobody.";
            let invalid = |_| FieldError::new("email", "invalid", detail);
            text.parse::<EmailAddress>().map_err(invalid)
        });
        let tier = tier.map(|text| {
            let detail = "No tier can have this name.";
            let named = is_name(text).then(|| Tier::named(text));
            named.ok_or_else(|| FieldError::new("tier", "invalid", detail))
        });
        match (errors.one(email.transpose()), errors.one(tier.transpose())) {
            (Some(email), Some(tier)) => Ok(Self { email, tier }),
            _ => Err(errors.into_problem()),
        }
    }

    /// What the list is called in its cursors.
    fn name(&self) -> String {
        match (&self.email, &self.tier) {
            (Some(_), _) => "the user with an address".to_owned(),
            (None, Some(tier)) => format!("users of {tier}"),
            (None, None) => "users".to_owned(),
        }
    }
}

/// List users
///
/// All users or those of a tier, newest first, or the one with an address. A page may be shorter
/// than `limit` although another follows; the last one has no cursor.
#[utoipa::path(
    get, path = "/api/v1/admin/users", operation_id = "listUsers", tag = "Administration",
    params(UsersQuery),
    responses((status = 200, description = "A page of users", body = Page<UserObject>)),
    extensions(("x-problems" = json!(["invalid-cursor", "validation-failed"]))),
    security(("access_token" = ["admin:read"]), ("api_key" = ["admin:read"])),
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    ApiQuery(query): ApiQuery<UsersQuery>,
) -> Result<Json<Page<UserObject>>, Problem> {
    let selection = Selection::parse(query.email.as_deref(), query.tier.as_deref())?;
    let (name, caller) = (selection.name(), caller.id().to_string());
    let listed = ListOf {
        name: &name,
        caller: &caller,
    };
    let query = ListQuery::new(query.limit, query.cursor);
    let limit = query.limit()?;
    let behind = query.position(app.cursor_key(), &listed)?;
    let behind = behind.and_then(|id| id.parse().ok());
    let page = match selection {
        Selection {
            email: Some(email),
            tier,
        } => with_address(&app, &email, tier).await?,
        Selection { email: None, tier } => {
            let users = tier.map_or(UsersListed::All, UsersListed::OfTier);
            app.users().users(&users, behind, limit).await?
        }
    };
    let next = page.goes_on_behind.map(|last| last.to_string());
    Ok(Json(Page {
        items: page.users.iter().map(UserObject::from).collect(),
        next_cursor: next.map(|last| app.cursor_key().seal(&last, &listed)),
    }))
}

/// The one user with an address, if they are in the tier that is asked for.
async fn with_address(
    app: &App,
    email: &EmailAddress,
    tier: Option<Tier>,
) -> Result<UserPage, Problem> {
    let found = match app.users().owner_of(&email.key()).await? {
        Some(id) => app.users().user(id).await?,
        None => None,
    };
    let found = found.filter(|user| tier.is_none_or(|tier| user.tier == tier));
    Ok(UserPage {
        users: found.into_iter().collect(),
        goes_on_behind: None,
    })
}
