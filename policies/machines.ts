import { findInstanceType, type InstanceType } from '../infra/aws/prices.ts';
import { at, type PolicedResource, type StackResource, textAt, textsAt } from './resource.ts';

/** Type of EKS's managed node groups. */
export const nodeGroupType = 'aws:eks/nodeGroup:NodeGroup';
/** Type of EC2's launch templates. */
export const launchTemplateType = 'aws:ec2/launchTemplate:LaunchTemplate';

/** The tag that says which SKU a tier's resources are of. */
export const tierTag = 'mimeo:tier';

/** Machines with an accelerator, by the names of their families; for types that infra/aws/prices.json does not have. */
const acceleratedFamilies = /^(g|p|inf|trn|dl|vt)\d/;

/** Whether a type of instance has an accelerator. */
export function isAccelerated(name: string): boolean {
  const known = findInstanceType(name);
  return known ? known.gpu !== null : acceleratedFamilies.test(name);
}

/** GPUs of a type of instance; 8, the most that there are, where the type is not known. */
export function gpusOf(name: string): number {
  const known: InstanceType | undefined = findInstanceType(name);
  if (known) return known.gpu?.count ?? 0;
  return acceleratedFamilies.test(name) ? 8 : 0;
}

/** What a resource itself says of types of instances. */
export function instanceTypesIn({ type, props }: PolicedResource): readonly string[] {
  return type === nodeGroupType ? textsAt(props, 'instanceTypes') : textsAt(props, 'instanceType');
}

/** The launch template that a node group was given. */
export function launchTemplateOf(group: StackResource): StackResource | undefined {
  return group.dependencies.find(({ type }) => type === launchTemplateType);
}

/** The types of instances of a node group, which it or its launch template names. */
export function instanceTypesOf(group: StackResource): readonly string[] {
  const own = instanceTypesIn(group);
  const template = launchTemplateOf(group);
  return own.length > 0 || !template ? own : instanceTypesIn(template);
}

/** The SKU of a tier's node group, by its tag; undefined for one that is of no tier. */
export function skuOf(group: PolicedResource): string | undefined {
  return textAt(group.props, 'tags', tierTag);
}

/** Whether a node group has GPUs, as far as it says so itself. A preview knows the type of its image. */
export function isGpuGroup(group: PolicedResource): boolean {
  const image = textAt(group.props, 'amiType') ?? '';
  return /NVIDIA|GPU|NEURON/.test(image) || instanceTypesIn(group).some(isAccelerated);
}

/** Machines at most; undefined where the program gives no literal number. */
export function maxSizeOf(group: PolicedResource): number | undefined {
  const size = at(group.props, 'scalingConfig', 'maxSize');
  return typeof size === 'number' ? size : undefined;
}
