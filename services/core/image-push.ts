/**
 * What ECR asks of whoever pushes an image and reads it back, on repositories. The role of logins may do it under the
 * stack's prefix, and each session of it under one account's.
 */
export const imagePushActions: readonly string[] = [
  'ecr:BatchCheckLayerAvailability',
  'ecr:BatchGetImage',
  'ecr:CompleteLayerUpload',
  'ecr:CreateRepository',
  'ecr:GetDownloadUrlForLayer',
  'ecr:InitiateLayerUpload',
  'ecr:PutImage',
  'ecr:UploadLayerPart',
];
