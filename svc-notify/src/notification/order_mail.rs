//! What mails about an order share: who gets them, and the order as they show it.

use nats::{
    consume::Failure,
    contracts::{
        order::{GetOrder, OrderDetails},
        user::{GetUserDetails, UserDetails},
    },
    invoke::CallError,
    types::{Address, Locale, Money, OrderId, UserId, format_locale},
};
use serde::Serialize;

use crate::{
    Notify,
    mail::{
        MailError,
        language::{Language, Words},
        text,
    },
};

/// An order as a mail shows it: amounts and dates as the reader writes them.
#[derive(Debug, Serialize)]
pub(crate) struct OrderMail {
    /// What to call the reader, if that can be said.
    pub(crate) name: Option<String>,
    pub(crate) number: String,
    pub(crate) date: String,
    pub(crate) lines: Vec<LineMail>,
    pub(crate) subtotal: String,
    pub(crate) shipping: String,
    pub(crate) tax: String,
    pub(crate) total: String,
    /// Line by line.
    pub(crate) address: Vec<String>,
}

/// A line of it.
#[derive(Debug, Serialize)]
pub(crate) struct LineMail {
    pub(crate) name: String,
    pub(crate) sku: String,
    pub(crate) quantity: i32,
    pub(crate) unit_price: String,
    pub(crate) net: String,
}

/// The order, and the locale of whoever placed it.
pub(crate) async fn ask(
    notify: &Notify,
    order_id: OrderId,
    user_id: UserId,
) -> Result<(OrderDetails, Reader), Failure> {
    let (about_order, about_user) = (GetOrder { order_id }, GetUserDetails { user_id });
    let (order, user) = tokio::join!(notify.calls.call(&about_order), notify.calls.call(&about_user));
    let reader = match user {
        Ok(UserDetails { name, locale, preferences, .. }) => {
            Reader { name: text::name(&name), locale, wants_mail: preferences.emails.orders }
        }
        // The account is gone, the order is not: it has its own address.
        Err(CallError::Refused(_)) => Reader { name: None, locale: Locale::default(), wants_mail: true },
        Err(error) => return Err(error.into()),
    };
    Ok((order?, reader))
}

/// Who reads the mail.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) name: Option<String>,
    pub(crate) locale: Locale,
    /// Whether they want to be told of their orders by mail.
    pub(crate) wants_mail: bool,
}

impl OrderMail {
    /// Writes `order` for `reader`.
    ///
    /// # Errors
    /// When the lines are no sum of money.
    pub(crate) fn of(order: &OrderDetails, reader: &Reader, notify: &Notify) -> Result<Self, Failure> {
        let words = notify.templates.words(Language::nearest(&reader.locale))?;
        Ok(Self::write(order, reader, words)?)
    }

    pub(super) fn write(order: &OrderDetails, reader: &Reader, words: &Words) -> Result<Self, MailError> {
        let money = |amount: Money| format_locale(&amount, reader.locale.as_str());
        let subtotal = Money::sum(order.total.currency, order.lines.iter().map(|line| line.net))
            .map_err(|error| MailError::because(&error))?;
        let lines = order.lines.iter().map(|line| LineMail {
            name: line.name.clone(),
            sku: line.sku.to_string(),
            quantity: line.quantity.get(),
            unit_price: money(line.unit_price),
            net: money(line.net),
        });
        Ok(Self {
            name: reader.name.clone(),
            number: order.number.clone(),
            date: words.date(order.placed_at),
            lines: lines.collect(),
            subtotal: money(subtotal),
            shipping: money(order.shipping),
            tax: money(order.tax_total),
            total: money(order.total),
            address: address_lines(&order.shipping_address, words),
        })
    }
}

/// The address, one line each; without the telephone number, which is the carrier's business.
fn address_lines(address: &Address, words: &Words) -> Vec<String> {
    let text = |part: &Option<nats::types::Name>| part.as_ref().map(ToString::to_string);
    let city = address
        .postal_code
        .as_ref()
        .map_or_else(|| address.city.to_string(), |code| format!("{code} {}", address.city));
    let lines = [
        Some(address.name.to_string()),
        text(&address.company),
        Some(address.line1.to_string()),
        text(&address.line2),
        Some(city),
        address.region.as_ref().map(ToString::to_string),
        Some(words.country(address.country)),
    ];
    lines.into_iter().flatten().collect()
}
