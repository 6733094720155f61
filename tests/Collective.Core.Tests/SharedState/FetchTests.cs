using Collective.Kernels;
using Collective.Protocol;
using Collective.Sharing;
using NUnit.Framework;

namespace Collective.Core.Tests.SharedState;

[TestFixture]
internal sealed class FetchTests : FetchTest
{
    private const int Block = TreeHash.BlockBytes;

    [Test]
    public void Any_size_and_alignment([Values(1, 2, 1023, Block - 1, Block, Block + 1, (5 * Block) + 17, 3_000_001)] int bytes, [Values(1, 3)] int holders, [Values(0, 3)] int offset, [Values] bool hashedAhead)
    {
        var elected = new TestTensor("t", Bytes(1, bytes), offset: 1);
        for (var i = 0; i < holders; i++)
        {
            Holders.Add(elected);
        }

        var mine = new TestTensor("t", Bytes(2, bytes), offset: offset);
        var fetch = Begin([mine], [elected], hashedAhead: hashedAhead);
        fetch.Commit();
        Assert.That(mine.Content.SequenceEqual(elected.Content));
        Assert.That(fetch.Fetcher.KeysReceived, Is.EqualTo(new[] { "t" }));
        Assert.That(fetch.Fetcher.Progress(), Has.Property("BytesDone").EqualTo(bytes).And.Property("BytesTotal").EqualTo(bytes));
        Assert.That(fetch.Failures, Is.Empty);
    }

    [Test]
    public void Only_blocks_that_differ_move([Values] bool hashedAhead)
    {
        var content = Bytes(1, (20 * Block) + 5);
        var elected = new TestTensor("t", content);
        var holder = Holders.Add(elected);
        var mine = new TestTensor("t", content);
        mine.Content[(3 * Block) + 7] ^= 1;
        mine.Content[4 * Block] ^= 1;
        mine.Content[^1] ^= 1;
        var fetch = Begin([mine], [elected], hashedAhead: hashedAhead);
        fetch.Commit();
        Assert.That(mine.Content.SequenceEqual(content));
        Assert.That(holder.Donor.Withdraw().Bytes, Is.EqualTo((2 * Block) + 5));
        Assert.That(fetch.Fetcher.Progress().BytesDone, Is.EqualTo((2 * Block) + 5));
    }

    [Test]
    public void What_is_equal_does_not_move([Values(0, 1, Block, (40 * Block) + 5)] int bytes)
    {
        var elected = new TestTensor("t", Bytes(1, bytes));
        var holder = Holders.Add(elected);
        var fetch = Begin([new TestTensor("t", elected.Content)], [elected], hashedAhead: false);
        fetch.Commit();
        Assert.That(holder.Donor.Withdraw().Bytes, Is.Zero);
        Assert.That(fetch.Fetcher.Progress(), Has.Property("BytesDone").Zero.And.Property("BytesTotal").Zero);
        Assert.That(fetch.Fetcher.KeysReceived, Is.Empty);
    }

    [Test]
    public void Many_keys()
    {
        var elected = Enumerable.Range(0, 200).Select(i => new TestTensor($"layer.{i}", Bytes(i, 1 + (i * 997 % 200_000)))).ToArray();
        Holders.Add(elected);
        Holders.Add(elected);
        var mine = elected.Select((t, i) => new TestTensor($"layer.{i}", Bytes(i + 1000, t.Content.Length))).ToArray();
        Begin(mine, elected).Commit();
        for (var i = 0; i < mine.Length; i++)
        {
            Assert.That(mine[i].Content.SequenceEqual(elected[i].Content), $"key {i}");
        }
    }

    /// <summary>A holder that has nothing for this peer, or nothing any more, is not called; nor is a reserve that could only give what is there already.</summary>
    [Test]
    public void Only_holders_that_have_something_are_called()
    {
        var (small, large) = (new TestTensor("small", Bytes(1, 100)), new TestTensor("large", Bytes(2, 40 * Block)));
        var nothing = Holders.Add();
        var both = Holders.Add(small, large);
        var one = Holders.Add(small);
        one.Refusals = int.MaxValue; // It is given up, and what it owes comes from the other.
        TestTensor[] mine = [new("small", Bytes(3, 100)), new("large", Bytes(4, 40 * Block))];
        var fetches = new[] { small, large }.Select((t, i) => new StateFetch((ushort)i, StateHasher.HashOf(t.Hashed()), (ushort)i)).ToList();
        var plan = new SharedStatePlan(new RequestNumber(1), new Revision(1), Holders.Members, [[2, 1], [1]], fetches);
        Begin(plan, mine, connections: 8, mine).Commit();
        Assert.That(mine[1].Content.SequenceEqual(large.Content));
        Assert.That(nothing.Dials, Is.Zero);
        Assert.That(both.Dials, Is.InRange(1, Limits.StateConnectionsPerHolderMax));
    }

    /// <summary>The bound that a program's descriptors can be planned with.</summary>
    [TestCase(1, 8, 4)]
    [TestCase(2, 8, 8)]
    [TestCase(5, 8, 5)]
    [TestCase(20, 8, 16)]
    public void No_more_connections_than_needed(int holders, int stripes, int most)
    {
        var elected = new TestTensor("t", Bytes(1, 400 * Block));
        for (var i = 0; i < holders; i++)
        {
            Holders.Add(elected);
        }

        var mine = new TestTensor("t", Bytes(2, 400 * Block));
        Begin([mine], [elected], connections: stripes).Commit();
        Assert.That(Enumerable.Range(0, holders).Sum(i => Holders[i].Dials), Is.InRange(1, most));
    }

    [Test]
    public void Nothing_to_fetch_is_done_at_once()
    {
        Holders.Add();
        Assert.That(Begin([], []).Outcome.Ok);
    }

    [Test]
    public void An_empty_tensor_needs_no_bytes()
    {
        var elected = new TestTensor("t", [], mayDiffer: true);
        Holders.Add(elected);
        Begin([new TestTensor("t", [], mayDiffer: true)], [elected]).Commit();
    }

    [Test]
    public void The_callers_memory_is_untouched_before_the_verdict()
    {
        var elected = new TestTensor("t", Bytes(1, 10 * Block));
        Holders.Add(elected);
        var before = Bytes(2, 10 * Block);
        var mine = new TestTensor("t", before);
        var fetch = Begin([mine], [elected]);
        Assert.That(fetch.Outcome.Ok);
        fetch.End();
        Assert.That(mine.Content.SequenceEqual(before));
    }

    [Test]
    public void Two_fetch_at_once_from_three()
    {
        var elected = new TestTensor("t", Bytes(1, 100 * Block));
        Holders.Add(elected);
        Holders.Add(elected);
        Holders.Add(elected);
        var (mine, theirs) = (new TestTensor("t", Bytes(2, 100 * Block)), new TestTensor("t", Bytes(3, 100 * Block)));
        var (first, second) = (Begin([mine], [elected]), Begin([theirs], [elected]));
        first.Commit();
        second.Commit();
        Assert.That(mine.Content.SequenceEqual(elected.Content));
        Assert.That(theirs.Content.SequenceEqual(elected.Content));
    }

    [Test]
    public void Content_that_may_differ_comes_whole_from_one_holder()
    {
        var (first, second) = (new TestTensor("t", Bytes(1, 50 * Block), mayDiffer: true), new TestTensor("t", Bytes(2, 50 * Block), mayDiffer: true));
        Holders.Add(first);
        Holders.Add(second);
        var mine = new TestTensor("t", Bytes(3, 50 * Block), mayDiffer: true);
        Begin([mine], [first]).Commit();
        Assert.That(mine.Content.SequenceEqual(first.Content) || mine.Content.SequenceEqual(second.Content));
    }

    [Test]
    public void A_tensor_of_another_size_is_not_given()
    {
        Holders.Add(new TestTensor("t", Bytes(1, Block)));
        var fetch = Begin([new TestTensor("t", Bytes(1, 2 * Block))], [new TestTensor("t", Bytes(2, 2 * Block))]);
        Assert.That(fetch.Outcome, Is.EqualTo((false, "no holder of \"t\" is left that gives its elected content")));
        Assert.That(fetch.Failures.Single().Detail, Does.Contain("does not have a tensor"));
    }
}
