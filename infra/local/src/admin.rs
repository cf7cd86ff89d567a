//! The stack's first admin, so that a newcomer has somebody to be.

use secrecy::{ExposeSecret, SecretString};
use turnpike_shared::auth::{
    EmailAddress, NewPassword, OneTimeToken, PasswordHasher, PasswordRejected, Role, Tier, User,
};
use turnpike_shared::clock::Clock;
use turnpike_shared::config::{self, Environment};
use turnpike_shared::ids::UserId;
use turnpike_shared::stores::{AccountStore, NewAccount, Registration, Verification};

use crate::StartError;

const DEFAULT_EMAIL: &str = "admin@example.com";

/// Who the first admin is.
#[derive(Clone)]
pub struct FirstAdmin {
    pub email: String,
    /// `None` when the account was there already: its password is what it was.
    pub password: Option<SecretString>,
}

/// Makes the admin's account, verified and in tier enterprise, unless it is there already.
pub(crate) async fn ensure(
    accounts: &AccountStore,
    hasher: &PasswordHasher,
    env: &Environment,
    clock: &Clock,
) -> Result<FirstAdmin, StartError> {
    let (email, password) = config::local_admin(env);
    let email: EmailAddress = email
        .unwrap_or(DEFAULT_EMAIL)
        .parse()
        .map_err(|_| StartError::Admin("TURNPIKE_ADMIN_EMAIL is not an e-mail address".into()))?;
    let password = password
        .unwrap_or_else(|| SecretString::from(OneTimeToken::generate().expose()[..20].to_owned()));
    if let Some(owner) = accounts.owner_of(&email.key()).await? {
        let user = accounts.users().user(owner).await?;
        let is_admin = |user: &User| user.roles.contains(&Role::Admin);
        if !user.as_ref().is_some_and(is_admin) {
            let problem = "the account with the address in TURNPIKE_ADMIN_EMAIL is no admin's";
            return Err(StartError::Admin(problem.into()));
        }
        // An older release may have made it, which kept no list of admins. One who is inactive is
        // not in it.
        accounts.users().admin_is_listed(owner).await?;
        return Ok(FirstAdmin {
            email: email.to_string(),
            password: None,
        });
    }
    let checked = NewPassword::parse(password.clone(), &[email.as_str()]).map_err(|rejected| {
        StartError::Admin(format!("TURNPIKE_ADMIN_PASSWORD {}", why(&rejected)))
    })?;
    let hash = hasher
        .hash(checked)
        .await
        .map_err(|error| StartError::Admin(error.to_string()))?;
    let now = clock.now();
    let user = User {
        id: UserId::new(now),
        email: email.clone(),
        full_name: None,
        tier: Tier::enterprise(),
        roles: vec![Role::User, Role::Admin],
        is_active: true,
        is_verified: true,
        created_at: now,
        updated_at: now,
        epoch: 1,
        quota_override: None,
        keys_revoked: None,
    };
    let account = NewAccount {
        user,
        password: hash,
        session: None,
        verification: Verification::AlreadyDone,
    };
    let shown = match accounts.register(&account, now).await? {
        Registration::Done => Some(password.expose_secret().into()),
        Registration::EmailTaken => None,
    };
    Ok(FirstAdmin {
        email: email.to_string(),
        password: shown,
    })
}

fn why(rejected: &PasswordRejected) -> String {
    match rejected {
        PasswordRejected::TooShort => "has fewer than 8 characters".to_owned(),
        PasswordRejected::TooLong => "has more than 128 characters".to_owned(),
        PasswordRejected::Weak { advice } => format!("is too easy to guess. {}", advice.join(" ")),
    }
}
