type Outputs = Readonly<Record<string, unknown>>;

/** What kinds that the control plane is made of have beside their inputs, an id and an ARN. */
export function controlPlaneOutputs(
  account: string,
): Readonly<Record<string, (called: string, given: Outputs) => Outputs>> {
  const balancing = `arn:aws:elasticloadbalancing:us-east-1:${account}`;
  return {
    'awsx:lb:ApplicationLoadBalancer': (called) => {
      const [arnSuffix, groupSuffix] = [
        `app/${called}/0123456789abcdef`,
        `targetgroup/${called}/0123456789abcdef`,
      ];
      return {
        loadBalancer: {
          arn: `${balancing}:loadbalancer/${arnSuffix}`,
          arnSuffix,
          dnsName: `${called}-1234567890.us-east-1.elb.amazonaws.com`,
          zoneId: 'Z35SXDOTRQ7X7K',
        },
        defaultTargetGroup: { arn: `${balancing}:${groupSuffix}`, arnSuffix: groupSuffix },
      };
    },
    'awsx:ecs:FargateService': (called) => ({ service: { name: `${called}-service` } }),
    'awsx:ecr:Image': (called, { repositoryUrl }) => ({
      imageUri: `${repositoryUrl}@sha256:${Buffer.from(called).toString('hex').padEnd(64, '0').slice(0, 64)}`,
    }),
    'aws:ecr/repository:Repository': (called) => ({
      repositoryUrl: `${account}.dkr.ecr.us-east-1.amazonaws.com/${called}`,
    }),
    'aws:acm/certificate:Certificate': (_called, { domainName }) => ({
      arn: `arn:aws:acm:us-east-1:${account}:certificate/00000000-0000-0000-0000-000000000000`,
      domainValidationOptions: [
        {
          domainName,
          resourceRecordName: `_proof.${domainName}.`,
          resourceRecordType: 'CNAME',
          resourceRecordValue: '_proof.acm-validations.aws.',
        },
      ],
    }),
    'aws:acm/certificateValidation:CertificateValidation': (_called, { certificateArn }) => ({
      certificateArn,
    }),
    'aws:secretsmanager/secret:Secret': (called) => {
      const arn = `arn:aws:secretsmanager:us-east-1:${account}:secret:${called}-AbCdEf`;
      return { id: arn, arn };
    },
    'aws:route53/record:Record': (called) => ({ fqdn: called.replace(/\.$/, '') }),
    'aws:cloudfront/publicKey:PublicKey': () => ({ id: 'K2JCJMDEHXQW5F' }),
  };
}
