import { launchTemplateType } from '../machines.ts';
import { resourcePolicy } from '../policy.ts';
import { at } from '../resource.ts';

export const noMetadataForPods = resourcePolicy({
  name: 'no-metadata-for-pods',
  description:
    "A machine should give its metadata by sessions alone (IMDSv2), and not to what runs one hop away, such as a model's container.",
  enforcement: 'mandatory',
  types: [launchTemplateType, 'aws:ec2/instance:Instance'],
  check({ props }) {
    if (at(props, 'metadataOptions', 'httpEndpoint') === 'disabled') return [];
    const messages: string[] = [];
    if (at(props, 'metadataOptions', 'httpTokens') !== 'required') {
      messages.push('gives metadata without a session; set metadataOptions.httpTokens to required');
    }
    if (at(props, 'metadataOptions', 'httpPutResponseHopLimit') !== 1) {
      messages.push(
        "gives the machine's role to containers; set metadataOptions.httpPutResponseHopLimit to 1",
      );
    }
    return messages;
  },
});
