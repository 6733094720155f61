using NUnit.Framework;

namespace Collective.Architecture;

/// <summary>The rules for documents fire where they should, and only there.</summary>
[TestFixture]
internal sealed class DocumentRuleTests
{
    private static readonly Dictionary<string, string> s_files = new()
    {
        ["README.md"] = "# Collective",
        ["docs"] = "",
        ["docs/errors.md"] = "# Errors\n\n## What now?\n\n## Twice\n\n## Twice\n",
    };

    [TestCase("See [errors](docs/errors.md), [here](#title), [twice](docs/errors.md#twice-1) and [now](docs/errors.md#what-now).")]
    [TestCase("[web](https://example.org/x.md) ![picture](docs/errors.md \"title\") [docs](docs)")]
    [TestCase("```\n[code](nowhere.md)\n```\n    and `[span](nowhere.md)`")]
    [TestCase("`docs/errors.md`, `docs/NNNN-title.md`, `obj/x.md`, `a/b`")]
    public void Living_links_are_silent(string text) => Assert.That(Check("GUIDE.md", "# Title\n" + text), Is.Empty);

    [TestCase("[dead](docs/nowhere.md)", "dead link docs/nowhere.md")]
    [TestCase("[`code` and text](nowhere.md)", "dead link nowhere.md")]
    [TestCase("[dead](docs/errors.md#nothing)", "dead link docs/errors.md#nothing: no such heading")]
    [TestCase("[dead](#nothing)", "dead link #nothing: no such heading")]
    [TestCase("[out](../other/README.md)", "dead link ../other/README.md")]
    [TestCase("[label]: nowhere.md", "dead link nowhere.md")]
    [TestCase("Look into `docs/nowhere.md`.", "there is no docs/nowhere.md")]
    public void Dead_links_are_found(string text, string expected)
        => Assert.That(Check("GUIDE.md", "# Title\n" + text), Is.EqualTo(new[] { "GUIDE.md:2: " + expected }));

    [Test]
    public void Links_are_relative_to_their_document()
    {
        Assert.That(Check("docs/guide.md", "[up](../README.md) [beside](errors.md) [root](/README.md)"), Is.Empty);
        Assert.That(Check("docs/guide.md", "[wrong](docs/errors.md)"), Has.Exactly(1).Items);
    }

    [Test]
    public void Headings_must_be_the_names()
    {
        var document = Document.Parse("docs/errors.md", "# Errors\n\n## First\n\n### Detail\n\n## Third\n\n## First\n");
        var findings = DocumentRules.HeadingsAre(document, ["First", "Second"], "error code").Select(finding => finding.ToString());
        Assert.That(findings, Is.EquivalentTo(new[]
        {
            "docs/errors.md:1: error code Second has no heading",
            "docs/errors.md:7: 'Third' is no error code",
            "docs/errors.md:9: error code First has 2 headings",
        }));
    }

    [Test]
    public void Names_must_be_mentioned_as_words()
    {
        var document = Document.Parse("docs/protocol.md", "| `Hello` | HelloAgain |");
        Assert.That(DocumentRules.Mentions(document, ["Hello", "HelloAgain"], "message"), Is.Empty);
        Assert.That(DocumentRules.Mentions(document, ["Again"], "message").Single().Text, Is.EqualTo("message Again is not described"));
    }

    private static IEnumerable<string> Check(string path, string text)
    {
        var document = Document.Parse(path, text);
        return DocumentRules.DeadLinks([document], name => name == path || s_files.ContainsKey(name), name => name == path ? document : Document.Parse(name, s_files[name])).Select(finding => finding.ToString());
    }
}
