// Started by startFunction: loads one bundle and answers events as Lambda's runtime does, one at a time.
const [, , bundle = ''] = process.argv;
const lambda: { handler: (event: unknown, context: object) => Promise<unknown> } = await import(bundle);

process.on('message', (message: { id: number; event: unknown; timeoutMs: number }) => {
  void answer(message);
});
process.send?.({ ready: true });

async function answer({
  id,
  event,
  timeoutMs,
}: {
  id: number;
  event: unknown;
  timeoutMs: number;
}): Promise<void> {
  const endsAt = Date.now() + timeoutMs;
  const context = { getRemainingTimeInMillis: () => Math.max(0, endsAt - Date.now()) };
  try {
    process.send?.({ id, result: (await lambda.handler(event, context)) ?? null });
  } catch (error) {
    process.send?.({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
}
