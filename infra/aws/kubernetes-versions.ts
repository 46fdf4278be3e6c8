/**
 * Versions of Kubernetes that a cluster may have, each with the release of the cluster autoscaler that goes with it.
 * Source: kubernetes/autoscaler, releases, read 2026-11-21.
 */
export const autoscalerReleases: Readonly<Record<string, string>> = {
  '1.34': 'v1.34.3',
  '1.35': 'v1.35.2',
  '1.36': 'v1.36.1',
};
