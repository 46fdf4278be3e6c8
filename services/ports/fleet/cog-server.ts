/**
 * What is set for every Cog server beside its own environment. coglet logs warnings and every line that a model prints
 * with the prediction it belongs to: its plain answer to a failed run leaves them out. (`[{source}]`: only such lines,
 * which say whether they were printed to stdout or stderr, and not that each run began and ended.) Replays reach far enough back
 * for a reader who fell behind. The older line's webhooks are not held back (Cog's default: 0.5 s).
 */
export const serverEnvironment = {
  RUST_LOG:
    'coglet=warn,coglet::prediction[{source}]=info,coglet::setup=info,coglet::user=info,' +
    'coglet_worker=warn,coglet_worker::schema=off,coglet_worker::protocol=off',
  COG_STREAM_HISTORY_CAPACITY: '65536',
  COG_THROTTLE_RESPONSE_INTERVAL: '0',
  PYTHONUNBUFFERED: '1',
};
