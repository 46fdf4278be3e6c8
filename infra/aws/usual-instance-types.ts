/**
 * What a SKU runs on where nothing else is said: the smallest machine of AWS with such a GPU. AWS sells no A40: an L40S
 * has its 48 GB, an A10G (g5) has 24 and is no stand-in. A100s come eight at a time.
 */
export const usualInstanceTypes: Readonly<Record<string, readonly string[]>> = {
  cpu: ['m6i.xlarge'],
  'gpu-t4': ['g4dn.xlarge'],
  'gpu-a40-small': ['g6e.xlarge'],
  'gpu-a40-large': ['g6e.2xlarge'],
  'gpu-l40s': ['g6e.2xlarge'],
  'gpu-a100-small': ['p4d.24xlarge'],
  'gpu-a100-large': ['p4de.24xlarge'],
  'gpu-h100': ['p5.4xlarge'],
};
