using NUnit.Framework;

namespace Collective.Architecture;

/// <summary>The documentation says what the code has, and its links lead somewhere.</summary>
[TestFixture]
internal sealed class DocumentTests
{
    private const string Errors = "docs/errors.md";
    private const string Wire = "docs/protocol.md";

    [Test]
    public void Links_are_alive()
        => Guide.IsObeyed("House style 4: no dead links in docs.", DocumentRules.DeadLinks(Repository.Files("", ".md").Select(Document.Load), Repository.Exists, Document.Load));

    [Test]
    public void Every_error_code_is_documented()
    {
        Assert.That(Repository.Exists(Errors), $"{Errors} is missing");
        Guide.IsObeyed("House style 6: every error is documented with what the caller should do next.", DocumentRules.HeadingsAre(Document.Load(Errors), Enum.GetNames<ErrorCode>(), "error code"));
    }

    [Test]
    public void Every_message_is_documented()
    {
        // By name: this test must not stop compiling when the wire changes its vocabulary.
        var kinds = typeof(ErrorCode).Assembly.GetType("Collective.Protocol.MessageKind");
        Assert.That(kinds, Is.Not.Null, "Protocol/ has no enum MessageKind");
        Assert.That(Repository.Exists(Wire), $"{Wire} is missing");
        Guide.IsObeyed("House style 5: behaviour is text in the repository.", DocumentRules.Mentions(Document.Load(Wire), Enum.GetNames(kinds!), "message"));
    }
}
