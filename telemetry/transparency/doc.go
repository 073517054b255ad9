// Package transparency answers the question "what do you hold about me?" in a form that a user, a journalist or a court
// can check.
//
// Gather reads the facts from the running system: every table and column that exists, every row count, every stream.
// A Report holds them and what follows from them, above all what an order of a court could obtain. Markdown, HTML and
// JSON are three renderings of that one Report; none of them knows more than the others. Nothing is left out because
// nobody thought of it: what exists is asked of the servers, and what the registry of fields does not know is a Finding.
//
// The requests an operator received are in a Log: closed kinds, countries, dates and one short note, each entry signed
// and chained to the one before.
package transparency
