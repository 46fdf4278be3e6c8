import { resourcePolicy } from '../policy.ts';
import { at, isGiven, textAt } from '../resource.ts';

const permissionType = 'aws:lambda/permission:Permission';

export const privateFunctions = resourcePolicy({
  name: 'private-functions',
  description: 'A function should be called only by the resource that it is for.',
  enforcement: 'mandatory',
  types: [permissionType, 'aws:lambda/functionUrl:FunctionUrl'],
  check({ type, props }) {
    if (type !== permissionType) {
      if (at(props, 'authorizationType') === 'AWS_IAM') return [];
      return ['gives a function a URL that anybody may call; set authorizationType to AWS_IAM'];
    }
    const principal = textAt(props, 'principal') ?? '';
    const isNarrowed = isGiven(props, 'sourceArn') || isGiven(props, 'sourceAccount');
    if (isNarrowed || (principal !== '*' && !principal.endsWith('.amazonaws.com'))) return [];
    return [
      `lets ${principal === '*' ? 'anybody' : principal} call a function for any account; set sourceArn`,
    ];
  },
});
