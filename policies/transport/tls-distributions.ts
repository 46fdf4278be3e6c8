import { resourcePolicy } from '../policy.ts';
import { at, isGiven, listAt, textAt } from '../resource.ts';

const tlsOnly = ['https-only', 'redirect-to-https'];

export const tlsDistributions = resourcePolicy({
  name: 'tls-distributions',
  description: 'A distribution should speak TLS 1.2 or later, to its callers and to its origins.',
  enforcement: 'mandatory',
  types: ['aws:cloudfront/distribution:Distribution'],
  check({ props }) {
    const messages: string[] = [];
    const behaviors = [...listAt(props, 'defaultCacheBehavior'), ...listAt(props, 'orderedCacheBehaviors')];
    if (behaviors.some((one) => !tlsOnly.includes(textAt(one, 'viewerProtocolPolicy') ?? ''))) {
      messages.push('answers plain HTTP; set viewerProtocolPolicy of every cache behavior to https-only');
    }
    const certificate = at(props, 'viewerCertificate');
    const isOwn = isGiven(certificate, 'acmCertificateArn') || isGiven(certificate, 'iamCertificateId');
    if (isOwn && !/^TLSv1\.[23]/.test(textAt(certificate, 'minimumProtocolVersion') ?? '')) {
      messages.push(
        'takes old versions of TLS; set viewerCertificate.minimumProtocolVersion to TLSv1.2_2021',
      );
    }
    const origins = listAt(props, 'origins').filter((one) => isGiven(one, 'customOriginConfig'));
    if (origins.some((one) => at(one, 'customOriginConfig', 'originProtocolPolicy') !== 'https-only')) {
      messages.push('calls its origin over plain HTTP; set originProtocolPolicy to https-only');
    }
    return messages;
  },
});
