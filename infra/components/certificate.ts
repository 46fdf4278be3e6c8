import * as aws from '@pulumi/aws';
import type * as pulumi from '@pulumi/pulumi';
import { Component } from './component.ts';

/** Seconds for which resolvers remember the record that proves a name. */
const proofTtlSeconds = 60;

export interface CertificateArgs {
  /** Such as mimeo.example.com. */
  readonly domain: string;
  /** The Route 53 zone of that name. */
  readonly hostedZoneId: string;
}

/** A certificate of ACM for one name, proved by a record in the name's zone, and renewed by AWS while that stays. */
export class Certificate extends Component {
  /** Known once the certificate can be used. */
  public readonly arn: pulumi.Output<string>;

  constructor(name: string, args: CertificateArgs, opts?: pulumi.ComponentResourceOptions) {
    super('Certificate', name, opts);
    const { domain, hostedZoneId } = args;
    const certificate = new aws.acm.Certificate(
      this.childName('issued'),
      { domainName: domain, validationMethod: 'DNS' },
      this.child(),
    );
    const options = certificate.domainValidationOptions;
    const record = new aws.route53.Record(
      this.childName('proof'),
      {
        zoneId: hostedZoneId,
        name: options.apply(([option]) => option?.resourceRecordName ?? ''),
        type: options.apply(([option]) => option?.resourceRecordType ?? 'CNAME'),
        records: options.apply(([option]) => [option?.resourceRecordValue ?? '']),
        ttl: proofTtlSeconds,
        // A certificate for the same name, of another stack or an earlier one, is proved by the same record.
        allowOverwrite: true,
      },
      this.child(),
    );
    const validation = new aws.acm.CertificateValidation(
      this.childName('validated'),
      { certificateArn: certificate.arn, validationRecordFqdns: [record.fqdn] },
      this.child(),
    );
    this.arn = validation.certificateArn;
    this.registerOutputs({ arn: this.arn });
  }
}
