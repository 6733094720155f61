using Collective.Kernels;
using Collective.Protocol;
using Collective.Transport;
using NUnit.Framework;

namespace Collective.Core.Tests.SharedState;

[TestFixture]
internal sealed class FetchFaultTests : FetchTest
{
    private const int Block = TreeHash.BlockBytes;
    private const int Blocks = 200;

    private static readonly Func<int, bool> s_anyBlocks = bytes => bytes >= Block / 2;

    // All digests of the tensor are one payload of this size.
    private static readonly Func<int, bool> s_digests = bytes => bytes == Blocks * TreeHash.DigestBytes;

    // Set by the first lie: the honest holder can be reached only then. Else it might give everything before the liar is asked.
    private readonly ManualResetEventSlim _lied = new();

    [SetUp]
    public void NobodyHasLied() => _lied.Reset();

    [OneTimeTearDown]
    public void Forget() => _lied.Dispose();

    [Test]
    public void A_holder_that_gives_wrong_bytes_is_replaced_and_named()
    {
        var (elected, mine) = Tensors();
        var liar = Holders.Add(elected);
        liar.Fault = c => new LyingConnection(c, bytes => Lies(s_anyBlocks(bytes)));
        Holders.Add(elected).Fault = AfterTheLie;
        var fetch = Begin([mine], [elected]);
        fetch.Commit();
        Assert.That(mine.Content.SequenceEqual(elected.Content));
        AssertLiar(fetch, liar, "gave wrong bytes: block");
    }

    [Test]
    public void A_holder_that_gives_wrong_digests_is_replaced_and_named()
    {
        var (elected, mine) = Tensors();
        var liar = Holders.Add(elected);
        liar.Fault = c => new LyingConnection(c, bytes => Lies(s_digests(bytes)));
        Holders.Add(elected).Fault = AfterTheLie;
        var fetch = Begin([mine], [elected]);
        fetch.Commit();
        Assert.That(mine.Content.SequenceEqual(elected.Content));
        AssertLiar(fetch, liar, "gave wrong digests of \"t\"");
    }

    [Test]
    public void When_all_holders_lie_the_fetch_fails_and_nothing_is_written()
    {
        var (elected, mine) = Tensors();
        var before = mine.Content.ToArray();
        Holders.Add(elected).Fault = c => new LyingConnection(c, s_anyBlocks);
        Holders.Add(elected).Fault = c => new LyingConnection(c, bytes => s_digests(bytes) || s_anyBlocks(bytes));
        var fetch = Begin([mine], [elected]);
        Assert.That(fetch.Outcome, Is.EqualTo((false, "no holder of \"t\" is left that gives its elected content")));
        fetch.End();
        Assert.That(mine.Content.SequenceEqual(before));
        Assert.That(fetch.Failures.Select(f => f.WrongBytes), Is.EqualTo(new[] { true, true }));
    }

    [Test]
    public void Content_that_may_differ_is_verified_too()
    {
        var elected = new TestTensor("t", Bytes(1, Blocks * Block), mayDiffer: true);
        var liar = Holders.Add(elected);
        liar.Fault = c => new LyingConnection(c, s_anyBlocks);
        var fetch = Begin([new TestTensor("t", Bytes(2, Blocks * Block), mayDiffer: true)], [elected]);
        Assert.That(fetch.Outcome.Ok, Is.False);
        AssertLiar(fetch, liar, "gave wrong bytes: block");
    }

    [Test]
    public void A_holder_that_dies_is_replaced([Values(10, 50, 90)] int percent, [Values] bool mayDiffer)
    {
        var elected = new TestTensor("t", Bytes(1, Blocks * Block), mayDiffer);
        var other = new TestTensor("t", mayDiffer ? Bytes(7, Blocks * Block) : elected.Content, mayDiffer);
        var mine = new TestTensor("t", Bytes(2, Blocks * Block), mayDiffer);
        var mortal = Holders.Add(elected);
        var lifetime = new Lifetime(Blocks * Block * (long)percent / 100);
        mortal.Fault = lifetime.Dying;
        Holders.Add(other).Refusals = 4; // So that the mortal one is asked first.
        var fetch = Begin([mine], [elected]);
        fetch.Commit();
        Assert.That(mine.Content.SequenceEqual(lifetime.Ended ? other.Content : elected.Content));
        Assert.That(fetch.Failures.All(f => f.Holder == mortal.Id && !f.WrongBytes));
    }

    [Test]
    public void When_the_only_holder_dies_the_fetch_fails()
    {
        var (elected, mine) = Tensors();
        Holders.Add(elected).Fault = new Lifetime(Blocks * Block / 2).Dying;
        var fetch = Begin([mine], [elected]);
        Assert.That(fetch.Outcome.Ok, Is.False);
        Assert.That(fetch.Failures.Single().WrongBytes, Is.False);
    }

    [Test]
    public void What_a_frozen_holder_owes_is_fetched_from_another()
    {
        var (elected, mine) = Tensors();
        var frozen = Holders.Add(elected);
        frozen.Fault = c => new FreezingConnection(c, 5, () => { });
        Holders.Add(elected).Refusals = 2;
        var fetch = Begin([mine], [elected]);
        fetch.Commit();
        Assert.That(mine.Content.SequenceEqual(elected.Content));
    }

    [Test]
    public void Digests_that_a_frozen_holder_owes_are_asked_from_another()
    {
        var (elected, mine) = Tensors();
        using var asked = new ManualResetEventSlim();
        Holders.Add(elected).Fault = c => new FreezingConnection(c, 0, asked.Set);
        Holders.Add(elected).Fault = c =>
        {
            asked.Wait(Patience);
            return c;
        };
        var fetch = Begin([mine], [elected]);
        fetch.Commit();
        Assert.That(mine.Content.SequenceEqual(elected.Content));
    }

    [Test]
    public void A_frozen_holder_that_is_lost_is_waited_for_no_longer([Values] bool hasReserve)
    {
        var elected = new TestTensor("t", Bytes(1, Blocks * Block), mayDiffer: true);
        var mine = new TestTensor("t", Bytes(2, Blocks * Block), mayDiffer: true);
        using var isFrozen = new ManualResetEventSlim();
        var frozen = Holders.Add(elected);
        frozen.Fault = c => new FreezingConnection(c, 5, isFrozen.Set);
        var other = Holders.Add(elected);
        other.Fault = c =>
        {
            isFrozen.Wait(Patience);
            return c;
        };
        var fetch = Begin([mine], [elected], connections: 1);
        Assert.That(isFrozen.Wait(Patience));
        if (!hasReserve)
        {
            fetch.Fetcher.HolderLost(other.Id);
        }

        fetch.Fetcher.HolderLost(frozen.Id);
        Assert.That(fetch.Outcome.Ok, Is.EqualTo(hasReserve));
        Assert.That(fetch.Failures, Is.Empty, "a lost peer needs no report");
    }

    [Test]
    public void Stopping_ends_a_fetch_that_waits()
    {
        var (elected, mine) = Tensors();
        using var isFrozen = new ManualResetEventSlim();
        Holders.Add(elected).Fault = c => new FreezingConnection(c, 5, isFrozen.Set);
        var fetch = Begin([mine], [elected]);
        Assert.That(isFrozen.Wait(Patience));
        fetch.End();
        Assert.That(fetch.IsOver, Is.False);
    }

    [Test]
    public void Withdrawing_ends_donors_that_wait()
    {
        var (elected, mine) = Tensors();
        using var isFrozen = new ManualResetEventSlim();
        var holder = Holders.Add(elected);
        holder.Fault = c => new FreezingConnection(c, 5, isFrozen.Set);
        var fetch = Begin([mine], [elected]);
        Assert.That(isFrozen.Wait(Patience));
        holder.Donor.Withdraw();
        Assert.That(fetch.Outcome.Ok, Is.False);
    }

    [Test]
    public void A_holder_that_can_be_reached_only_later_is_waited_for()
    {
        var (elected, mine) = Tensors();
        Holders.Add(elected).Refusals = Limits.StateFailuresMax - 1;
        var fetch = Begin([mine], [elected], connections: 1);
        fetch.Commit();
        Assert.That(fetch.Failures, Is.Empty);
    }

    private bool Lies(bool lies)
    {
        if (lies)
        {
            _lied.Set();
        }

        return lies;
    }

    private IByteConnection AfterTheLie(IByteConnection connection)
    {
        Assert.That(_lied.Wait(Patience));
        return connection;
    }

    private static void AssertLiar(Recorder fetch, FakeHolder liar, string detail)
    {
        var failure = fetch.Failures.Single();
        Assert.That(failure.Holder, Is.EqualTo(liar.Id));
        Assert.That(failure.WrongBytes);
        Assert.That(failure.Detail, Does.StartWith(detail));
    }

    private static (TestTensor Elected, TestTensor Mine) Tensors()
        => (new TestTensor("t", Bytes(1, Blocks * Block)), new TestTensor("t", Bytes(2, Blocks * Block)));
}
