import * as pulumi from '@pulumi/pulumi';

/**
 * Options of a service of awsx's whose number of tasks is up to its scaling: without them, an update after a refresh
 * would send home all tasks but the first ones, in the middle of a rush. Only a transform reaches what awsx makes
 * inside. Source: pulumi-awsx, issue 504.
 */
export function leaveTaskCountToScaling(): pulumi.CustomResourceOptions {
  // Mocks have no transforms, and nothing that would scale.
  return pulumi.runtime.hasEngine() ? { transforms: [ignoreDesiredCount] } : {};
}

const ignoreDesiredCount: pulumi.ResourceTransform = ({ type, props, opts }) =>
  type === 'aws:ecs/service:Service'
    ? { props, opts: pulumi.mergeOptions(opts, { ignoreChanges: ['desiredCount'] }) }
    : undefined;
