import * as k8s from '@pulumi/kubernetes';
import type * as pulumi from '@pulumi/pulumi';
import { acceleratorLabel, gpuResource, modelsTaint } from '../../services/core/kubernetes-names.ts';
import { Component } from './component.ts';

/** Of NVIDIA's own registry. Source: k8s-device-plugin, deployments/static/nvidia-device-plugin.yml. */
const image = 'nvcr.io/nvidia/k8s-device-plugin:v0.17.1';

/** Tells Kubernetes of a machine's GPUs, on machines that have some: the AMI brings the driver and not this. */
export class DevicePlugin extends Component {
  constructor(name: string, opts?: pulumi.ComponentResourceOptions) {
    super('DevicePlugin', name, opts);
    const labels = { app: 'nvidia-device-plugin' };
    const sockets = 'kubelet-sockets';
    new k8s.apps.v1.DaemonSet(
      this.childName('daemon'),
      {
        metadata: { name: 'nvidia-device-plugin', namespace: 'kube-system', labels },
        spec: {
          selector: { matchLabels: labels },
          template: {
            metadata: { labels },
            spec: {
              automountServiceAccountToken: false,
              priorityClassName: 'system-node-critical',
              affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: hasGpu } },
              tolerations: [modelsTaint, gpuResource].map((key) => ({
                key,
                operator: 'Exists',
                effect: 'NoSchedule',
              })),
              containers: [
                {
                  name: 'plugin',
                  image,
                  // A machine whose driver is not there yet is tried again, and repaired if that does not help.
                  env: [{ name: 'FAIL_ON_INIT_ERROR', value: 'false' }],
                  resources: {
                    requests: { cpu: '20m', memory: '64Mi' },
                    limits: { memory: '256Mi' },
                  },
                  securityContext: {
                    allowPrivilegeEscalation: false,
                    capabilities: { drop: ['ALL'] },
                    seccompProfile: { type: 'RuntimeDefault' },
                  },
                  volumeMounts: [{ name: sockets, mountPath: '/var/lib/kubelet/device-plugins' }],
                },
              ],
              volumes: [
                { name: sockets, hostPath: { path: '/var/lib/kubelet/device-plugins', type: 'Directory' } },
              ],
            },
          },
        },
      },
      this.child(),
    );
    this.registerOutputs({});
  }
}

const hasGpu = {
  nodeSelectorTerms: [{ matchExpressions: [{ key: acceleratorLabel, operator: 'Exists' }] }],
};
