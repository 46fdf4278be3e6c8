/** Keeps a value as the newest of at most `limit`, and forgets the oldest where there are more. */
export function remember<K, V>(kept: Map<K, V>, key: K, value: V, limit: number): void {
  kept.delete(key);
  kept.set(key, value);
  forgetBeyond(kept, limit);
}

/** Forgets the oldest where there are more than `limit`. */
export function forgetBeyond<K, V>(kept: Map<K, V>, limit: number): void {
  if (kept.size <= limit) return;
  for (const oldest of kept.keys()) {
    kept.delete(oldest);
    return;
  }
}

/** Notes when something happened (epoch ms), and forgets what happened `forMs` before that or earlier. */
export function rememberTime<K>(times: Map<K, number>, key: K, at: number, forMs: number): void {
  times.delete(key);
  times.set(key, at);
  for (const [oldest, then] of times) {
    if (at - then < forMs) return;
    times.delete(oldest);
  }
}
