/** The one kind of error that ends a local start: a sentence for a person, and no stack trace. */
export class StartFailure extends Error {}
