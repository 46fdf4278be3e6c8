/**
 * Metrics that AWS publishes, by namespace and dimensions: those of them that the stack may name. Sources: the user
 * guides, "CloudWatch metrics for your Application Load Balancer", "Amazon ECS CloudWatch metrics", "Available CloudWatch
 * metrics for Amazon SQS", "Types of metrics for Lambda functions", "DynamoDB metrics and dimensions", "List the available
 * CloudWatch metrics for your instances", "Metrics for serverless caches" (read 2026-11-21).
 */
export const publishedMetrics: Readonly<Record<string, readonly string[]>> = {
  'AWS/ApplicationELB LoadBalancer': [
    'ActiveConnectionCount',
    'HTTPCode_ELB_4XX_Count',
    'HTTPCode_ELB_5XX_Count',
    'NewConnectionCount',
    'RejectedConnectionCount',
    'RequestCount',
  ],
  'AWS/ApplicationELB LoadBalancer,TargetGroup': [
    'HealthyHostCount',
    'HTTPCode_Target_2XX_Count',
    'HTTPCode_Target_4XX_Count',
    'HTTPCode_Target_5XX_Count',
    'RequestCount',
    'RequestCountPerTarget',
    'TargetConnectionErrorCount',
    'TargetResponseTime',
    'UnHealthyHostCount',
  ],
  'AWS/ECS ClusterName,ServiceName': ['CPUUtilization', 'MemoryUtilization'],
  'AWS/SQS QueueName': [
    'ApproximateAgeOfOldestMessage',
    'ApproximateNumberOfMessagesDelayed',
    'ApproximateNumberOfMessagesNotVisible',
    'ApproximateNumberOfMessagesVisible',
    'NumberOfMessagesDeleted',
    'NumberOfMessagesReceived',
    'NumberOfMessagesSent',
  ],
  'AWS/Lambda FunctionName': [
    'AsyncEventAge',
    'AsyncEventsDropped',
    'ConcurrentExecutions',
    'DeadLetterErrors',
    'DestinationDeliveryFailures',
    'Duration',
    'Errors',
    'Invocations',
    'IteratorAge',
    'Throttles',
  ],
  // Where the mapping has `EventCount` among its metrics.
  'AWS/Lambda EventSourceMappingUUID': [
    'DroppedEventCount',
    'FailedInvokeEventCount',
    'FilteredOutEventCount',
    'InvokedEventCount',
    'OnFailureDestinationDeliveredEventCount',
    'PolledEventCount',
  ],
  'AWS/DynamoDB TableName': ['ConsumedReadCapacityUnits', 'ConsumedWriteCapacityUnits'],
  'AWS/EC2 AutoScalingGroupName': ['CPUUtilization', 'NetworkIn', 'NetworkOut', 'StatusCheckFailed'],
  'AWS/ElastiCache clusterId': [
    'BytesUsedForCache',
    'CurrConnections',
    'ElastiCacheProcessingUnits',
    'NewConnections',
    'ThrottledCmds',
    'TotalCmdsCount',
  ],
};
