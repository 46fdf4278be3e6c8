import * as pulumi from '@pulumi/pulumi';

/**
 * A resource's policy that refuses what does not come by TLS, whoever asks, and allows `also` beside it.
 * @param actions all of the service's, such as `s3:*`: a denial is no permission
 */
export function tlsOnly(
  actions: string,
  resources: readonly pulumi.Input<string>[],
  also: readonly object[] = [],
): pulumi.Output<string> {
  return pulumi.jsonStringify({
    Version: '2012-10-17',
    Statement: [
      {
        Sid: 'TlsOnly',
        Effect: 'Deny',
        Principal: '*',
        Action: actions,
        Resource: resources,
        Condition: { Bool: { 'aws:SecureTransport': 'false' } },
      },
      ...also,
    ],
  });
}
