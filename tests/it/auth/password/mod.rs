mod change;
mod reset;
mod reset_confirm;
