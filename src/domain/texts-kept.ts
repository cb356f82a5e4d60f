/** Whose incoming texts a device keeps and passes on: the customer's choice for each phone. No rules. */
export const textsKeptChoices = ["everybody", "written_to", "nobody"] as const;
export type TextsKept = (typeof textsKeptChoices)[number];
