/**
 * Calls at a time: as many are kept for a function, and it never has more. `npm run up` looks whether the account's quota
 * has room for their sum.
 */
export const reservedConcurrency = {
  // One call a shard of the table at a time.
  metering: 20,
  // The same, and as many calls by its queue.
  webhooks: 40,
  registrar: 5,
  // A round, and the day's look at the ledger beside it: rounds never meet, so neither waits for the other.
  sweeper: 2,
} as const;

/**
 * AWS keeps so many of an account for functions that reserve none, and refuses to reserve more than the rest.
 * Source: Lambda, "Configuring reserved concurrency for a function".
 */
export const keptUnreserved = 100;
