//! What is read of whole templates.

use std::collections::BTreeMap;
use std::time::Duration;

use super::error::TemplateError;
use super::model::Template;
use super::yaml;

const HEAD: &str = "
Parameters:
  Seconds: {Type: Number, Default: 0}
  Origin: {Type: String, Default: ''}
Conditions:
  Cors: !Not [!Equals [!Ref Origin, '']]
Globals:
  Function:
    Timeout: 10
    Environment: {Variables: {TABLE: !Ref Table, PORT: 80}}
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      Auth:
        DefaultAuthorizer: Tokens
        Authorizers:
          Tokens:
            FunctionArn: !GetAtt Guard.Arn
            AuthorizerPayloadFormatVersion: '2.0'
            EnableSimpleResponses: true
            Identity: {Headers: [Authorization], ReauthorizeEvery: !Ref Seconds}
      CorsConfiguration: !If [Cors, {AllowOrigins: [!Ref Origin], MaxAge: '600'}, !Ref AWS::NoValue]
  Guard:
    Type: AWS::Serverless::Function
    Properties:
      Timeout: 5
      Policies: [{Statement: [{Effect: Allow, Action: dynamodb:GetItem, Resource: !GetAtt Table.Arn}]}]
      Description: !Select [0, !Ref Nothing]
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      DeletionProtectionEnabled: true
      TimeToLiveSpecification: {AttributeName: expires_at, Enabled: 'true'}
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
  Key:
    Type: AWS::SecretsManager::Secret
    Properties: {GenerateSecretString: {PasswordLength: 64, ExcludePunctuation: true}}
";

fn read(more: &str, parameters: &[(&str, &str)]) -> Result<Template, TemplateError> {
    let document = yaml::parse(&format!("{HEAD}{more}")).unwrap();
    let parameters = parameters.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    Template::from_document(&document, "demo", &parameters)
}

fn function(events: &str) -> String {
    format!(
        "  F:\n    Type: AWS::Serverless::Function\n    \
             Properties: {{Environment: {{Variables: {{PORT: 81, KEY: !Ref Key}}}}, Events: {events}}}\n"
    )
}

#[test]
fn a_binary_is_named_after_its_function() {
    for (id, binary) in [("ProductGetFunction", "product-get"), ("Guard", "guard"), ("Function", "function")] {
        assert_eq!(super::function::binary(id), binary);
    }
}

#[test]
fn functions_inherit_from_globals() {
    let template = read(&function("{}"), &[]).unwrap();
    let [f, guard] = template.functions.as_slice() else { panic!("two functions, not {:?}", template.functions) };
    assert_eq!(f.name, "demo-F");
    assert_eq!(f.arn, "arn:aws:lambda:us-east-1:000000000000:function:demo-F");
    assert_eq!((f.timeout.as_secs(), f.memory), (10, 128));
    assert_eq!(f.variables["TABLE"], "demo-Table");
    assert_eq!(f.variables["PORT"], "81");
    assert_eq!(f.variables["KEY"], template.secrets[0].arn);
    assert_eq!(guard.timeout.as_secs(), 5);
    assert_eq!(guard.variables["PORT"], "80");
}

#[test]
fn events_become_routes() {
    for (event, key, authorizer) in [
        ("{Path: /a/{id}, Method: get}", "GET /a/{id}", Some("Tokens")),
        ("{Path: /a, Method: ANY}", "ANY /a", Some("Tokens")),
        ("{Path: /a}", "ANY /a", Some("Tokens")),
        ("{Auth: {Authorizer: NONE}}", "$default", None),
        ("{Path: $default, Method: any}", "$default", Some("Tokens")),
    ] {
        let event = event.replace("/a/{id}", "'/a/{id}'");
        let template = read(&function(&format!("{{E: {{Type: HttpApi, Properties: {event}}}}}")), &[]).unwrap();
        let route = &template.routes[0];
        assert_eq!((route.key.as_str(), route.authorizer.as_deref()), (key, authorizer), "{event}");
    }
}

#[test]
fn parameters_decide() {
    let closed = read("", &[]).unwrap();
    assert_eq!(closed.cors, None);
    assert_eq!(closed.authorizers["Tokens"].ttl, Duration::ZERO);
    assert_eq!(closed.authorizers["Tokens"].headers, ["authorization"]);

    let open = read("", &[("Origin", "https://app.example"), ("Seconds", "5")]).unwrap();
    let cors = open.cors.unwrap();
    assert_eq!(cors.allow_origins, ["https://app.example"]);
    assert_eq!(cors.max_age, Some(600));
    assert_eq!(open.authorizers["Tokens"].ttl, Duration::from_secs(5));
}

#[test]
fn tables_keep_what_an_emulator_takes() {
    let table = &read("", &[]).unwrap().tables[0];
    assert_eq!(table.expires.as_deref(), Some("expires_at"));
    assert_eq!(
        table.create,
        serde_json::json!({
            "TableName": "demo-Table",
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        })
    );
}

#[test]
fn schedules_are_read() {
    let template = read(&function("{E: {Type: Schedule, Properties: {Schedule: rate(5 minutes)}}}"), &[]).unwrap();
    let [schedule] = template.schedules.as_slice() else { panic!("one schedule, not {:?}", template.schedules) };
    assert_eq!((schedule.function.as_str(), schedule.name.as_str()), ("F", "E"));
    assert_eq!(schedule.expression, "rate(5 minutes)");
    assert_eq!(schedule.rate.period(), Duration::from_mins(5));
    for off in ["Enabled: false", "State: DISABLED"] {
        let event = format!("{{E: {{Type: Schedule, Properties: {{Schedule: rate(1 day), {off}}}}}}}");
        assert_eq!(read(&function(&event), &[]).unwrap().schedules, [], "{off}");
    }
}

#[test]
fn what_a_template_says_is_understood_or_refused() {
    for (from, to, place) in [
        ("Resources:\n", "Mappings: {}\nResources:\n", "the template"),
        ("Globals:\n", "Transform: [AWS::LanguageExtensions]\nGlobals:\n", "Transform"),
        ("  Function:\n", "  Api: {}\n  Function:\n", "Globals"),
        ("    Timeout: 10\n", "    Timeout: 10\n    Layers: []\n", "Globals.Function"),
        ("      Auth:\n", "      DefinitionBody: {}\n      Auth:\n", "Resources.Api.Properties"),
        (
            "        DefaultAuthorizer",
            "        EnableIamAuthorizer: true\n        DefaultAuthorizer",
            "Resources.Api.Properties.Auth",
        ),
        ("Headers: [Authorization],", "Context: [x],", "Resources.Api.Properties.Auth.Authorizers.Tokens"),
        ("{Variables: {TABLE", "{Colour: red, Variables: {TABLE", "Globals.Function.Environment"),
    ] {
        let text = HEAD.replacen(from, to, 1);
        assert_ne!(text, HEAD, "{from}");
        let fault = Template::from_document(&yaml::parse(&text).unwrap(), "demo", &BTreeMap::new()).unwrap_err();
        assert_eq!(fault.place, place, "{to}: {}", fault.reason);
    }
}

#[test]
fn what_cloudformation_tells_is_read() {
    let more = "
  Logs: {Type: AWS::Logs::LogGroup}
  Alarm: {Type: AWS::CloudWatch::Alarm}
Outputs:
  Url: {Value: !Sub '${Api.ApiEndpoint}/x', Description: Where it answers}
  Command: {Value: !Sub 'aws logs tail ${Logs}'}
  Allowed: {Value: !Ref Origin, Condition: Cors, Export: {Name: x}}
";
    let mut template = read(more, &[("Seconds", "5")]).unwrap();
    template.answer_at("http://127.0.0.1:3000");
    let stack = &template.stack;
    let outputs: Vec<_> = stack.outputs.iter().map(|output| (output.key.as_str(), output.value.as_str())).collect();
    assert_eq!(outputs, [("Command", "aws logs tail demo-Logs"), ("Url", "http://127.0.0.1:3000/x")]);
    assert_eq!(stack.outputs[1].description.as_deref(), Some("Where it answers"));
    assert_eq!(stack.parameters["Seconds"], "5");
    let resources: Vec<_> = stack.resources.iter().map(|resource| (resource.id.as_str(), resource.kind.as_str())).collect();
    assert_eq!(
        resources,
        [
            ("Api", "AWS::ApiGatewayV2::Api"),
            ("Guard", "AWS::Lambda::Function"),
            ("Key", "AWS::SecretsManager::Secret"),
            ("Logs", "AWS::Logs::LogGroup"),
            ("Table", "AWS::DynamoDB::Table"),
        ]
    );

    let hidden = "Parameters:\n  Word: {Type: String, Default: secret, NoEcho: true}\n";
    let text = HEAD.replacen("Parameters:\n", hidden, 1);
    let template = Template::from_document(&yaml::parse(&text).unwrap(), "demo", &BTreeMap::new()).unwrap();
    assert_eq!(template.stack.parameters["Word"], "****");
    assert_eq!(read(&format!("{more}  Colour: {{Value: !Ref Nothing}}\n"), &[]).unwrap_err().place, "Outputs.Colour.Value");
}

#[test]
fn a_function_writes_to_the_log_group_that_it_names() {
    let group = |function: &str| {
        read(&format!("{function}  Logs: {{Type: AWS::Logs::LogGroup}}\n"), &[]).unwrap().functions[0].log_group.clone()
    };
    assert_eq!(group(&function("{}")), "/aws/lambda/demo-F");
    assert_eq!(group(&function("{}, LoggingConfig: {LogGroup: !Ref Logs, LogFormat: JSON}")), "demo-Logs");
}

#[test]
fn faults_name_their_place() {
    for (more, place) in [
        (function("{E: {Type: HttpApi, Properties: {Path: a}}}"), "Resources.F.Properties.Events.E.Properties.Path"),
        (function("{E: {Type: HttpApi, Properties: {Path: !Select [0, x]}}}"), "Resources.F.Properties.Events.E.Properties.Path"),
        (function("{E: {Type: HttpApi, Properties: {Path: /a, Auth: {Authorizer: Nobody}}}}"), "Resources.F.Properties.Events"),
        (
            function("{E: {Type: Schedule, Properties: {Schedule: cron(0 12 * * ? *)}}}"),
            "Resources.F.Properties.Events.E.Properties.Schedule",
        ),
        (
            "  S: {Type: AWS::SecretsManager::Secret, Properties: {GenerateSecretString: {PasswordLength: long}}}\n".into(),
            "Resources.S.Properties.GenerateSecretString",
        ),
        ("  Second: {Type: AWS::Serverless::HttpApi}\n".into(), "Resources.Second"),
        ("  Topic: {Type: AWS::SNS::Topic}\n".into(), "Resources.Topic"),
        ("  Queue: {Type: AWS::SQS::Queue, Properties: {FifoQueue: true}}\n".into(), "Resources.Queue.Properties"),
        (
            "  R: {Type: AWS::Events::Rule, Properties: {EventPattern: {source: [{wildcard: x}]}}}\n".into(),
            "Resources.R.Properties.EventPattern",
        ),
        (
            "  R: {Type: AWS::Events::Rule, Properties: {EventPattern: {source: [x]}, Targets: [{Id: a, Arn: b}]}}\n".into(),
            "Resources.R.Properties.Targets",
        ),
        (
            function("{E: {Type: DynamoDB, Properties: {Stream: x, StartingPosition: LATEST}}}"),
            "Resources.F.Properties.Events.E.Properties.Stream",
        ),
        ("  Table2: {Type: AWS::DynamoDB::Table, CreationPolicy: {}}\n".into(), "Resources.Table2"),
        ("  T: {Type: AWS::DynamoDB::Table, Properties: {ImportSourceSpecification: {}}}\n".into(), "Resources.T.Properties"),
        ("  S: {Type: AWS::SecretsManager::Secret, Properties: {ReplicaRegions: []}}\n".into(), "Resources.S.Properties"),
        (
            "  S: {Type: AWS::SecretsManager::Secret, Properties: {GenerateSecretString: {Colour: red}}}\n".into(),
            "Resources.S.Properties.GenerateSecretString",
        ),
        (function("{E: {Type: SQS, Properties: {Queue: x}}}"), "Resources.F.Properties.Events.E"),
        (function("{E: {Type: DynamoDB}}"), "Resources.F.Properties.Events.E"),
        (function("{E: {}}"), "Resources.F.Properties.Events.E"),
        (
            function("{E: {Type: HttpApi, Properties: {Path: /a, TimeoutInMillis: 5}}}"),
            "Resources.F.Properties.Events.E.Properties",
        ),
        (
            function("{E: {Type: HttpApi, Properties: {Path: /a, Auth: {AuthorizationScopes: [x]}}}}"),
            "Resources.F.Properties.Events.E.Properties",
        ),
        (
            function("{E: {Type: Schedule, Properties: {Schedule: rate(1 day), DeadLetterConfig: {}}}}"),
            "Resources.F.Properties.Events.E.Properties",
        ),
        (function("{}, VpcConfig: {}"), "Resources.F.Properties"),
        (function("{}, PermissionsBoundary: arn:aws:iam::aws:policy/X"), "Resources.F.Properties.PermissionsBoundary"),
    ] {
        assert_eq!(read(&more, &[]).unwrap_err().place, place, "{more}");
    }
}
