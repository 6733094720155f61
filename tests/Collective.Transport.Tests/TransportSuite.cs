using Collective.Protocol;
using Collective.Transport;
using NUnit.Framework;

namespace Collective.Transport.Tests;

/// <summary>What every transport does; each implementation runs this suite.</summary>
internal abstract class TransportSuite
{
    protected static readonly Epoch First = Epoch.First(1);
    protected static readonly Epoch Second = First.Next();
    protected static readonly Epoch Third = Second.Next();

    private readonly List<Peer> _peers = [];

    /// <summary>Opens a transport and says where the others reach it.</summary>
    protected abstract (ITransport Transport, PeerAddress Address) Open(ITransportEvents events, int stripes);

    /// <summary>Breaks the connections of one peer to another, which both would like to keep.</summary>
    protected abstract void Cut(Peer from, Peer to);

    /// <summary>The address of a peer that is not there.</summary>
    protected abstract PeerAddress Nowhere();

    [TearDown]
    public void CloseEverything()
    {
        _peers.ForEach(p => p.Dispose());
        _peers.Clear();
    }

    [Test]
    public void A_ring_is_wired([Range(2, 5)] int size)
    {
        var ring = Ring(size, stripes: 2);
        WireRing(First, ring);
        for (var i = 0; i < size; i++)
        {
            Transfer(ring[i], ring[(i + 1) % size], First, Payloads.Random(i, 10, 1000, 100_000));
        }

        ring.ForEach(p => p.ExpectNothing());
    }

    [Test]
    public void Bytes_of_shared_state_flow_both_ways()
    {
        var (from, to) = (NewPeer(), NewPeer());
        to.Transport.ServeState(Echo);
        WireRing(First, [from, to]);
        using var connection = from.Transport.DialState(to.Member);
        var sent = new byte[3_000_000];
        new Random(1).NextBytes(sent);
        var sending = new Thread(() => connection.Send(sent)) { IsBackground = true };
        sending.Start();
        var received = new byte[sent.Length];
        Assert.That(connection.Receive(received));
        Assert.That(received, Is.EqualTo(sent));
        Assert.That(sending.Join(Peer.Patience));
    }

    [Test]
    public void A_connection_for_shared_state_ends_at_both_ends()
    {
        var (from, to) = (NewPeer(), NewPeer());
        var ended = new ManualResetEventSlim();
        to.Transport.ServeState(connection =>
        {
            Assert.That(connection.Receive(new byte[1]));
            Assert.That(connection.Receive(new byte[1]), Is.False, "closed before the first byte");
            ended.Set();
        });
        WireRing(First, [from, to]);
        var connection = from.Transport.DialState(to.Member);
        connection.Send([7]);
        connection.Dispose();
        Assert.That(ended.Wait(Peer.Patience));
        Assert.That(() => connection.Send(new byte[1]), Throws.InstanceOf<IOException>());
        Assert.That(() => connection.Receive(new byte[1]), Throws.InstanceOf<IOException>());
    }

    [Test]
    public void Disposing_ends_what_waits_in_a_connection_for_shared_state()
    {
        var (from, to) = (NewPeer(), NewPeer());
        using var never = new ManualResetEventSlim();
        to.Transport.ServeState(_ => never.Wait(Peer.Patience));
        WireRing(First, [from, to]);
        var connection = from.Transport.DialState(to.Member);
        using var begun = new ManualResetEventSlim();
        var outcome = new TaskCompletionSource();
        new Thread(() =>
        {
            try
            {
                begun.Set();
                _ = connection.Receive(new byte[1]);
                outcome.SetResult();
            }
            catch (IOException)
            {
                outcome.SetResult();
            }
        })
        { IsBackground = true }.Start();
        begun.Wait(Peer.Patience);
        connection.Dispose();
        Assert.That(outcome.Task.Wait(Peer.Patience));
        never.Set();
    }

    [Test]
    public void Who_is_not_there_or_serves_nobody_gives_no_shared_state()
    {
        var (from, to) = (NewPeer(), NewPeer());
        WireRing(First, [from, to]);
        Assert.That(() => from.Transport.DialState(new Member(to.Id, Nowhere())), Throws.InstanceOf<IOException>());
        Assert.That(() => from.Transport.DialState(to.Member), Throws.InstanceOf<IOException>());
    }

    [Test]
    public void A_peer_alone_is_wired_at_once()
    {
        var peer = NewPeer();
        peer.Wire(First, null, null);
        peer.ExpectWired(First);
        peer.ExpectNothing();
    }

    [Test]
    public void A_neighbour_may_hear_of_the_epoch_first()
    {
        var ring = Ring(2);
        ring[0].Wire(First, ring[1], ring[1]);
        ring[0].ExpectNothing();
        ring[1].Wire(First, ring[0], ring[0]);
        ring.ForEach(p => p.ExpectWired(First));

        ring[1].Wire(Second, ring[0], ring[0]);
        ring[0].Wire(Second, ring[1], ring[1]);
        ring.ForEach(p => p.ExpectWired(Second));
        Transfer(ring[0], ring[1], Second, Payloads.Random(1, 5));
    }

    [Test]
    public void Segments_of_any_size_arrive_intact([Values(1, 2, 8)] int stripes)
    {
        var ring = Ring(2, stripes);
        WireRing(First, ring);
        int[] sizes = [1, 2, 47, 48, 49, 71, 72, 4096, 16_383, 16_384, 16_385, 65_536, 300_000, 1 << 20];
        int[] many = [.. Enumerable.Range(0, 8).SelectMany(_ => sizes)];
        Transfer(ring[0], ring[1], First, Payloads.Random(stripes, many));
        Transfer(ring[1], ring[0], First, Payloads.Random(stripes + 1, many));
    }

    [Test]
    public void Early_segments_wait_for_their_operation()
    {
        var ring = Ring(2);
        WireRing(First, ring);
        var payloads = Payloads.Random(1, 100, 20_000, 7);
        var outbox = new Outbox(Key(First), payloads);
        outbox.SendAll(ring[0].Transport);
        outbox.ExpectAllSent();
        var inbox = new Inbox(Key(First), payloads);
        ring[1].Transport.Router.Register(inbox);
        inbox.ExpectAll();
    }

    [Test]
    public void A_slow_reader_loses_nothing_and_one_stripe_keeps_the_order([Values(1, 4)] int stripes)
    {
        const int Segments = 300;
        var ring = Ring(2, stripes);
        WireRing(First, ring);
        var payloads = Payloads.Random(1, [.. Enumerable.Range(0, Segments).Select(i => 30_000 + i)]);
        var inbox = new Inbox(Key(First), payloads);
        inbox.Block();
        ring[1].Transport.Router.Register(inbox);
        new Outbox(Key(First), payloads).SendAll(ring[0].Transport);
        inbox.ExpectReached();
        Assert.That(inbox.Order, Is.Empty);

        inbox.Unblock();
        inbox.ExpectAll();
        Assert.That(inbox.Order, Is.EquivalentTo(Enumerable.Range(0, Segments)));
        if (stripes == 1)
        {
            Assert.That(inbox.Order, Is.Ordered);
        }

        ring.ForEach(p => p.ExpectNothing());
    }

    [Test]
    public void A_new_epoch_drops_what_is_stale()
    {
        var ring = Ring(2, stripes: 2);
        WireRing(First, ring);
        var payloads = Payloads.Random(1, [.. Enumerable.Repeat(200_000, 50)]);
        var stale = new Inbox(Key(First), payloads);
        stale.Block();
        ring[1].Transport.Router.Register(stale);
        new Outbox(Key(First), payloads).SendAll(ring[0].Transport);
        stale.ExpectReached();

        ring[0].Wire(Second, ring[1], ring[1]);
        ring[1].Wire(Second, ring[0], ring[0]);
        stale.Unblock();
        ring.ForEach(p => p.ExpectWired(Second));
        var counted = stale.Order.Length;
        Assert.That(counted, Is.LessThanOrEqualTo(2), "only what was moving on the two stripes");

        Transfer(ring[0], ring[1], Second, Payloads.Random(2, 100, 100_000));
        Assert.That(stale.Order, Has.Length.EqualTo(counted));
        new Outbox(Key(First), payloads).SendAll(ring[0].Transport);
        Transfer(ring[0], ring[1], Second, Payloads.Random(3, 100, 100_000), tag: 8);
        Assert.That(stale.Order, Has.Length.EqualTo(counted), "nothing of an older epoch is posted either");
        ring.ForEach(p => p.ExpectNothing());
    }

    [Test]
    public void A_broken_link_is_reported_with_its_epoch_and_reopened_by_the_next()
    {
        var ring = Ring(3, stripes: 2);
        WireRing(First, ring);
        Cut(ring[0], ring[1]);
        var lost = ring[1].ExpectLost();
        Assert.That((lost.Epoch, lost.Neighbour, lost.Outgoing), Is.EqualTo((First, ring[0].Id, false)));
        ring[2].ExpectNothing();

        WireRing(Second, ring);
        Transfer(ring[0], ring[1], Second, Payloads.Random(1, 10, 100_000));
        Transfer(ring[1], ring[2], Second, Payloads.Random(2, 10, 100_000));
        ring.ForEach(p => p.ExpectNothing());
    }

    [Test]
    public void A_link_that_breaks_while_it_is_used_is_reported_by_its_sender_too()
    {
        var ring = Ring(2, stripes: 2);
        WireRing(First, ring);
        var payloads = Payloads.Random(1, [.. Enumerable.Repeat(1 << 20, 40)]);
        var inbox = new Inbox(Key(First), payloads);
        inbox.Block();
        ring[1].Transport.Router.Register(inbox);
        new Outbox(Key(First), payloads).SendAll(ring[0].Transport);
        inbox.ExpectReached();
        Cut(ring[0], ring[1]);
        inbox.Unblock();
        var lost = ring[0].ExpectLost();
        Assert.That((lost.Epoch, lost.Neighbour, lost.Outgoing), Is.EqualTo((First, ring[1].Id, true)));
        Assert.That(ring[1].ExpectLost().Outgoing, Is.False);

        WireRing(Second, ring);
        Transfer(ring[0], ring[1], Second, Payloads.Random(1, 10, 100_000));
    }

    [Test]
    public void A_neighbour_is_replaced()
    {
        var ring = Ring(3);
        var (a, b, c) = (ring[0], ring[1], ring[2]);
        WireRing(First, ring);
        WireRing(Second, [a, c]);
        Transfer(a, c, Second, Payloads.Random(1, 10, 100_000));
        Transfer(c, a, Second, Payloads.Random(2, 10, 100_000));
        a.ExpectNothing();
        c.ExpectNothing();

        WireRing(Third, [a, b, c]);
        Transfer(a, b, Third, Payloads.Random(3, 10));
        Transfer(b, c, Third, Payloads.Random(4, 10));
        Transfer(c, a, Third, Payloads.Random(5, 10));
    }

    [Test]
    public void A_probe_is_measured_by_its_target([Values(1, 3)] int stripes)
    {
        var ring = Ring(2, stripes);
        WireRing(First, ring);
        ring[1].Probe(1, ring[0], ring[1]);
        ring[0].Probe(1, ring[0], ring[1]);
        var probed = ring[1].ExpectProbed();
        Assert.That(probed.Number, Is.EqualTo(1));
        Assert.That(probed.BytesPerSecond, Is.Positive, probed.Detail);
        ring.ForEach(p => p.ExpectNothing());
    }

    [Test]
    public void A_probe_of_nobody_fails()
    {
        var ring = Ring(2);
        WireRing(First, ring);
        ring[1].Address = Nowhere();
        ring[0].Probe(1, ring[0], ring[1]);
        Assert.That(ring[0].ExpectProbed().BytesPerSecond, Is.Null);
    }

    [Test]
    public void A_survey_names_who_is_not_reached([Values(2, 300)] int targets)
    {
        var ring = Ring(2);
        WireRing(First, ring);
        var nowhere = Nowhere();
        ring[0].Transport.Survey(new SurveyPlan(First, [.. Enumerable.Range(0, targets).Select(i => new SurveyTarget((ushort)i, new Member(ring[1].Id, i % 2 == 0 ? ring[1].Address : nowhere)))]));
        Assert.That(ring[0].ExpectSurveyed().Order(), Is.EqualTo(Enumerable.Range(0, targets).Where(i => i % 2 == 1)));
        Transfer(ring[0], ring[1], First, Payloads.Random(1, 10));
        ring.ForEach(p => p.ExpectNothing());
    }

    [Test]
    public void A_ring_is_turned_around()
    {
        var ring = Ring(4, stripes: 2);
        WireRing(First, ring);
        ring.Reverse();
        WireRing(Second, ring);
        Transfer(ring[0], ring[1], Second, Payloads.Random(1, 10, 100_000));
        ring.ForEach(p => p.ExpectNothing());
    }

    [Test]
    public void A_neighbour_that_ends_is_reported()
    {
        var ring = Ring(3);
        WireRing(First, ring);
        ring[0].Dispose();
        var lost = ring[1].ExpectLost();
        Assert.That((lost.Epoch, lost.Neighbour, lost.Outgoing), Is.EqualTo((First, ring[0].Id, false)));
        WireRing(Second, [ring[1], ring[2]]);
        Transfer(ring[2], ring[1], Second, Payloads.Random(1, 10));
    }

    [Test]
    public void A_neighbour_that_is_not_there_is_reported()
    {
        var peer = NewPeer();
        var missing = new Peer(99) { Address = Nowhere() };
        peer.Wire(First, missing, missing);
        var lost = peer.ExpectLost();
        Assert.That((lost.Epoch, lost.Neighbour, lost.Outgoing), Is.EqualTo((First, missing.Id, true)));
        peer.ExpectNothing();

        var other = NewPeer();
        peer.Wire(Second, other, other);
        other.Wire(Second, peer, peer);
        peer.ExpectWired(Second);
        other.ExpectWired(Second);
    }

    [Test]
    public void A_segment_that_cannot_be_breaks_the_link_and_nothing_else()
    {
        var ring = Ring(2, stripes: 1);
        WireRing(First, ring);
        ring[1].Transport.Router.Register(new Inbox(Key(First), Payloads.Random(1, 10)));
        new Outbox(Key(First), Payloads.Random(1, 11)).SendAll(ring[0].Transport);
        var lost = ring[1].ExpectLost();
        Assert.That((lost.Epoch, lost.Neighbour, lost.Outgoing), Is.EqualTo((First, ring[0].Id, false)));
        Transfer(ring[1], ring[0], First, Payloads.Random(2, 10), tag: 8);
    }

    [Test]
    public void After_the_end_nothing_happens()
    {
        var ring = Ring(2);
        WireRing(First, ring);
        ring[0].Dispose();
        ring[0].Dispose();
        ring[0].Transport.Send(new Outbox(Key(First), Payloads.Random(1, 5)), new Outbox(Key(First), Payloads.Random(1, 5)).Header(0));
        ring[0].Wire(Second, ring[1], ring[1]);
        ring[0].ExpectNothing();
    }

    protected List<Peer> Ring(int size, int stripes = 1) => [.. Enumerable.Range(0, size).Select(_ => NewPeer(stripes))];

    protected Peer NewPeer(int stripes = 1)
    {
        var peer = new Peer(_peers.Count + 1);
        (peer.Transport, peer.Address) = Open(peer, stripes);
        _peers.Add(peer);
        return peer;
    }

    protected static void WireRing(Epoch epoch, IReadOnlyList<Peer> ring)
    {
        for (var i = 0; i < ring.Count; i++)
        {
            ring[i].Wire(epoch, ring[(i + 1) % ring.Count], ring[(i + ring.Count - 1) % ring.Count]);
        }

        foreach (var peer in ring)
        {
            peer.ExpectWired(epoch);
        }
    }

    protected static void Transfer(Peer from, Peer to, Epoch epoch, byte[][] payloads, ulong tag = 7)
    {
        var inbox = new Inbox(Key(epoch, tag), payloads);
        to.Transport.Router.Register(inbox);
        var outbox = new Outbox(Key(epoch, tag), payloads);
        outbox.SendAll(from.Transport);
        inbox.ExpectAll();
        outbox.ExpectAllSent();
        to.Transport.Router.Unregister(inbox.Attempt);
    }

    protected static AttemptKey Key(Epoch epoch, ulong tag = 7) => new(epoch, new Tag(tag), 0);

    private static void Echo(IByteConnection connection)
    {
        var buffer = new byte[1000];
        while (connection.Receive(buffer))
        {
            connection.Send(buffer);
        }
    }
}
