//! The AWS requirement: certificates must be attested to come from AWS.
//!
//! This is attestation by variable, and no more. Whoever configures the machine states in an ARN
//! which ACM certificate or private CA stands behind the enforcer; thoth holds the statement to
//! its syntax and asks nobody. What binds a connection to that certificate is a pin, or a CA
//! bundle that holds only that private CA.

use crate::config::settings::Tls;

/// Why the AWS requirement is not met.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AwsProblem {
    /// It is required, and neither ARN is set.
    #[error(
        "AWS-backed certificates are required, but neither an ACM certificate nor a private CA is named"
    )]
    Missing,
    /// The ACM ARN is none.
    #[error(
        "the ACM certificate's ARN does not look like arn:aws:acm:REGION:ACCOUNT:certificate/ID"
    )]
    NotAnAcmArn,
    /// The private CA's ARN is none.
    #[error(
        "the private CA's ARN does not look like arn:aws:acm-pca:REGION:ACCOUNT:certificate-authority/ID"
    )]
    NotAPrivateCaArn,
}

/// Holds the configuration to the AWS requirement. An ARN that is set must be one, whether or not
/// it is required.
///
/// # Errors
///
/// [`AwsProblem`], the first found.
pub fn check(settings: &Tls) -> Result<(), AwsProblem> {
    let acm = settings.aws_acm_cert_arn.as_deref();
    let ca = settings.aws_private_ca_arn.as_deref();
    if acm.is_some_and(|arn| !is_arn(arn, "acm", "certificate/")) {
        return Err(AwsProblem::NotAnAcmArn);
    }
    if ca.is_some_and(|arn| !is_arn(arn, "acm-pca", "certificate-authority/")) {
        return Err(AwsProblem::NotAPrivateCaArn);
    }
    if settings.require_aws_backed && acm.is_none() && ca.is_none() {
        return Err(AwsProblem::Missing);
    }
    Ok(())
}

/// `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`, as the AWS Service Authorization Reference
/// spells it for both services.
fn is_arn(text: &str, service: &str, resource: &str) -> bool {
    let parts: Vec<_> = text.split(':').collect();
    let ["arn", partition, its_service, region, account, its_resource] = parts[..] else {
        return false;
    };
    let plain = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    matches!(partition, "aws" | "aws-cn" | "aws-us-gov")
        && its_service == service
        && plain(region)
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && its_resource.strip_prefix(resource).is_some_and(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACM: &str = "arn:aws:acm:eu-west-1:123456789012:certificate/12345678-1234-1234";
    const CA: &str = "arn:aws:acm-pca:eu-west-1:123456789012:certificate-authority/1234-abcd";

    fn checked(require: bool, acm: Option<&str>, ca: Option<&str>) -> Result<(), AwsProblem> {
        check(&Tls {
            require_aws_backed: require,
            aws_acm_cert_arn: acm.map(str::to_owned),
            aws_private_ca_arn: ca.map(str::to_owned),
            ..Tls::default()
        })
    }

    #[test]
    fn one_arn_meets_the_requirement() {
        use AwsProblem::{Missing, NotAPrivateCaArn, NotAnAcmArn};
        for (require, acm, ca, expected) in [
            (false, None, None, Ok(())),
            (true, None, None, Err(Missing)),
            (true, Some(ACM), None, Ok(())),
            (true, None, Some(CA), Ok(())),
            (true, Some(ACM), Some(CA), Ok(())),
            (true, Some(CA), None, Err(NotAnAcmArn)),
            (true, None, Some(ACM), Err(NotAPrivateCaArn)),
            (true, Some(ACM), Some("yes"), Err(NotAPrivateCaArn)),
            (false, Some("yes"), None, Err(NotAnAcmArn)),
            (true, Some(""), None, Err(NotAnAcmArn)),
        ] {
            assert_eq!(checked(require, acm, ca), expected, "{require} {acm:?} {ca:?}");
        }
    }

    #[test]
    fn the_syntax_of_an_arn() {
        for (arn, good) in [
            (ACM.to_owned(), true),
            (ACM.replace("aws:", "aws-cn:"), true),
            (ACM.replace("aws:", "aws-us-gov:"), true),
            (ACM.replace("aws:", "aws-iso:"), false),
            (ACM.replace("eu-west-1", ""), false),
            (ACM.replace("123456789012", "12345"), false),
            (ACM.replace("123456789012", "12345678901x"), false),
            (ACM.replace("12345678-1234-1234", ""), false),
            (format!("{ACM}/more"), false),
            (format!("{ACM}:more"), false),
            (format!(" {ACM}"), false),
            (format!("{ACM}\n"), false),
        ] {
            assert_eq!(checked(true, Some(&arn), None).is_ok(), good, "{arn:?}");
        }
    }
}
