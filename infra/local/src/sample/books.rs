//! The sample library's books: well-known ones that are in the public domain, published before 1929
//! by authors who died before 1955, with how they begin. Finding them is all there is to do here; how
//! slowly is not this module's business.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// As many as one answer shows.
const MOST: usize = 10;

#[derive(Serialize, Deserialize)]
pub(super) struct Book {
    id: String,
    title: String,
    author: String,
    year: u16,
    first_line: String,
}

static BOOKS: LazyLock<Vec<Book>> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the text is part of the program")]
    serde_json::from_str(include_str!("books.json")).expect("the books can be read")
});

/// What a search found.
#[derive(Serialize)]
pub(super) struct Found {
    query: String,
    count: usize,
    items: Vec<&'static Book>,
}

/// The books with every word of a query in their title, their author or their first line.
pub(super) fn find(query: &str) -> Found {
    let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
    let matches = |book: &&Book| {
        let text = format!("{} {} {}", book.title, book.author, book.first_line).to_lowercase();
        words.iter().all(|word| text.contains(word))
    };
    let found: Vec<&Book> = BOOKS.iter().filter(matches).collect();
    Found {
        query: query.to_owned(),
        count: found.len(),
        items: found.into_iter().take(MOST).collect(),
    }
}

pub(super) fn book(id: &str) -> Option<&'static Book> {
    BOOKS.iter().find(|book| book.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(query: &str) -> Vec<&'static str> {
        let items = find(query).items.into_iter();
        items.map(|book| book.id.as_str()).collect()
    }

    #[test]
    fn a_book_is_found_by_words_of_title_author_and_first_line() {
        assert_eq!(ids("whale"), ["moby-dick"]);
        assert_eq!(ids("melville  CALL"), ["moby-dick"]);
        assert_eq!(ids("brontë"), ["jane-eyre", "wuthering-heights"]);
        assert!(ids("zeppelin").is_empty());
    }

    #[test]
    fn an_answer_shows_ten_books_at_most_and_counts_all() {
        let all = find("");

        assert_eq!((all.items.len(), all.count), (MOST, BOOKS.len()));
    }

    #[test]
    fn every_book_has_an_id_of_its_own_that_a_path_may_hold() {
        for (index, book) in BOOKS.iter().enumerate() {
            let is_plain = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(book.id.chars().all(is_plain), "{}", book.id);
            assert!(BOOKS[..index].iter().all(|other| other.id != book.id));
            assert!(book.year < 1929, "{}", book.title);
        }
    }
}
