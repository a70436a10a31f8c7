//! Which keys of a template are understood here, by where they stand, and which have an effect on AWS only. Anything else is
//! refused, so that nothing that a template says is missing here without a word.

use serde_json::{Map, Value};

use super::error::TemplateError;

pub const SECTIONS: &[&str] = &[
    "AWSTemplateFormatVersion",
    "Transform",
    "Description",
    "Metadata",
    "Parameters",
    "Rules",
    "Conditions",
    "Globals",
    "Resources",
    "Outputs",
];
pub const RESOURCE: &[&str] =
    &["Type", "Condition", "Properties", "Metadata", "DependsOn", "DeletionPolicy", "UpdateReplacePolicy"];
/// Types of resources that no function and no client sees.
pub const RESOURCE_TYPES_AWS_ONLY: &[&str] = &[
    "AWS::Serverless::HttpApi",
    "AWS::ApiGatewayV2::ApiMapping",
    "AWS::ApiGatewayV2::DomainName",
    "AWS::Backup::BackupPlan",
    "AWS::Backup::BackupSelection",
    "AWS::Backup::BackupVault",
    "AWS::Budgets::Budget",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    // Both are read with the rules whose targets they are.
    "AWS::Events::ApiDestination",
    "AWS::Events::Connection",
    "AWS::Events::Archive",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Role",
    "AWS::Logs::LogGroup",
    "AWS::Route53::RecordSet",
    "AWS::SES::ConfigurationSet",
    "AWS::SES::ConfigurationSetEventDestination",
    "AWS::SQS::QueuePolicy",
];
pub const FUNCTION: &[&str] =
    &["Environment", "Events", "FunctionName", "LoggingConfig", "MemorySize", "PermissionsBoundary", "Policies", "Timeout"];
pub const FUNCTION_AWS_ONLY: &[&str] =
    &["Architectures", "CodeUri", "Description", "Handler", "ReservedConcurrentExecutions", "Runtime", "Tracing"];
pub const API: &[&str] = &["Auth", "CorsConfiguration"];
pub const API_AWS_ONLY: &[&str] = &[
    "AccessLogSettings",
    "DefaultRouteSettings",
    "Description",
    "DisableExecuteApiEndpoint",
    "FailOnWarnings",
    "Name",
    "RouteSettings",
    "StageName",
];
/// What means the same to `CreateTable` and to an emulator.
pub const TABLE: &[&str] = &[
    "AttributeDefinitions",
    "KeySchema",
    "GlobalSecondaryIndexes",
    "LocalSecondaryIndexes",
    "BillingMode",
    "ProvisionedThroughput",
];
pub const TABLE_TOO: &[&str] = &["StreamSpecification", "TableName", "TimeToLiveSpecification"];
pub const TABLE_AWS_ONLY: &[&str] = &[
    "ContributorInsightsSpecification",
    "DeletionProtectionEnabled",
    "OnDemandThroughput",
    "PointInTimeRecoverySpecification",
    "SSESpecification",
    "TableClass",
    "WarmThroughput",
];
pub const INDEX: &[&str] = &["IndexName", "KeySchema", "Projection", "ProvisionedThroughput"];
pub const INDEX_AWS_ONLY: &[&str] = &["ContributorInsightsSpecification", "OnDemandThroughput", "WarmThroughput"];
pub const SECRET: &[&str] = &["GenerateSecretString", "Name", "SecretString"];
pub const SECRET_AWS_ONLY: &[&str] = &["Description", "KmsKeyId", "Tags"];

pub const BUS: &[&str] = &["Name"];
pub const BUS_AWS_ONLY: &[&str] = &["Description", "KmsKeyIdentifier", "LogConfig", "Policy", "Tags"];
pub const RULE: &[&str] = &["EventBusName", "EventPattern", "Name", "Targets"];
pub const RULE_AWS_ONLY: &[&str] = &["Description"];
pub const API_DESTINATION: &[&str] = &["ConnectionArn", "HttpMethod", "InvocationEndpoint", "Name"];
pub const API_DESTINATION_AWS_ONLY: &[&str] = &["Description", "InvocationRateLimitPerSecond"];
pub const CONNECTION: &[&str] = &["AuthParameters", "AuthorizationType", "Name"];
pub const CONNECTION_AWS_ONLY: &[&str] = &["Description", "KmsKeyIdentifier"];
pub const LOGGING: &[&str] = &["LogGroup"];
pub const LOGGING_AWS_ONLY: &[&str] = &["ApplicationLogLevel", "LogFormat", "SystemLogLevel"];
pub const OUTPUT: &[&str] = &["Condition", "Description", "Value"];
pub const OUTPUT_AWS_ONLY: &[&str] = &["Export"];
pub const QUEUE: &[&str] = &["QueueName"];
pub const QUEUE_AWS_ONLY: &[&str] =
    &["KmsMasterKeyId", "MessageRetentionPeriod", "SqsManagedSseEnabled", "Tags", "VisibilityTimeout"];

/// Refuses the first key that is neither understood nor without effect here.
pub fn known(value: &Value, at: &str, understood: &[&str], aws_only: &[&str]) -> Result<(), TemplateError> {
    let keys = value.as_object().into_iter().flat_map(Map::keys);
    match keys.map(String::as_str).find(|key| ![understood, aws_only].concat().contains(key)) {
        Some(key) => Err(TemplateError::new(at, format!("{key} is not understood here"))),
        None => Ok(()),
    }
}
