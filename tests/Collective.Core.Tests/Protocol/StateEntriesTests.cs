using Collective.Protocol;
using NUnit.Framework;

namespace Collective.Core.Tests.Protocol;

/// <summary>What is wrong with a list of tensors is said before anything is sent.</summary>
[TestFixture]
internal sealed class StateEntriesTests
{
    private static readonly string LongestKey = new('x', Limits.StateKeyBytesMax);

    [Test]
    public void Ordinary_keys_are_welcome() => Assert.That(StateEntries.Refusal(["weights", "Weights", "wéights", "\uFFFD", "😀", LongestKey]), Is.Null);

    [Test]
    public void As_many_keys_as_the_limit_and_no_more()
    {
        var keys = Enumerable.Range(0, Limits.StateKeysMax).Select(i => $"{i}").ToList();
        Assert.That(StateEntries.Refusal(keys), Is.Null);
        Assert.That(StateEntries.Refusal([.. keys, "one more"]), Does.Contain("at most 16384"));
    }

    [Test]
    public void An_empty_list() => Assert.That(StateEntries.Refusal([]), Does.Contain("no entries"));

    [Test]
    public void An_empty_key() => Assert.That(StateEntries.Refusal(["a", ""]), Does.Contain("empty"));

    [Test]
    public void A_key_twice() => Assert.That(StateEntries.Refusal(["a", "b", "a"]), Does.Contain("\"a\"").And.Contain("twice"));

    [Test]
    public void Text_that_is_none()
    {
        Assert.That(StateEntries.Refusal(["\uD800"]), Does.Contain("no Unicode text"), "half of a surrogate pair");
        Assert.That(StateEntries.Refusal(["\uFFFD \uDC00"]), Does.Contain("no Unicode text"), "the other half, beside a replacement character");
    }

    [Test]
    public void A_key_too_long() => Assert.That(StateEntries.Refusal([LongestKey + "x"]), Does.Contain("at most 512 bytes").And.Contain("…"));

    [Test]
    public void A_key_too_long_in_bytes() => Assert.That(StateEntries.Refusal([new string('é', 257)]), Does.Contain("at most 512 bytes"));
}
