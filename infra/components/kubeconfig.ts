import * as pulumi from '@pulumi/pulumi';

export interface ClusterAddress {
  readonly name: string;
  readonly region: string;
  readonly endpoint: pulumi.Input<string>;
  /** Base64. */
  readonly certificateAuthority: pulumi.Input<string>;
}

/** A kubeconfig, as JSON, by which the AWS CLI gets a token for whoever runs it; it holds no credential. */
export function kubeconfigOf({
  name,
  region,
  endpoint,
  certificateAuthority,
}: ClusterAddress): pulumi.Output<string> {
  return pulumi.jsonStringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    clusters: [{ name, cluster: { server: endpoint, 'certificate-authority-data': certificateAuthority } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    users: [
      {
        name,
        user: {
          exec: {
            apiVersion: 'client.authentication.k8s.io/v1',
            command: 'aws',
            args: ['eks', 'get-token', '--cluster-name', name, '--region', region, '--output', 'json'],
            interactiveMode: 'Never',
          },
        },
      },
    ],
  });
}
