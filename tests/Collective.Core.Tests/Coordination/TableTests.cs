using System.Text;
using Collective.Coordination;
using NUnit.Framework;

namespace Collective.Core.Tests.Coordination;

/// <summary>Every state and event of the state machines' tables, in tables.txt. An empty cell is a protocol error or a defect.</summary>
[TestFixture]
internal sealed class TableTests
{
    [Test]
    public void The_tables_have_not_changed()
    {
        var text = new StringBuilder();
        Add<MasterPeerState, MasterPeerEvent>(text, "A peer as the master sees it", MasterPeerTable.Next);
        Add<PeerState, PeerEvent>(text, "A communicator", PeerTables.Next);
        Add<AttemptState, AttemptEvent>(text, "One collective on one peer", PeerTables.Next);
        Add<SyncState, SyncEvent>(text, "One sync of the shared state on one peer", PeerTables.Next);
        GoldenFile.Check("tables.txt", text.ToString());
    }

    [Test]
    public void Values_outside_the_enumerations_are_not_legal_moves()
    {
        Assert.That(MasterPeerTable.Next(MasterPeerState.Unregistered, (MasterPeerEvent)99), Is.Null);
        Assert.That(PeerTables.Next(PeerState.Ready, (PeerEvent)99), Is.Null);
        Assert.That(PeerTables.Next((AttemptState)99, AttemptEvent.Enter), Is.Null);
        Assert.That(PeerTables.Next((SyncState)99, SyncEvent.Vote), Is.Null);
    }

    [Test]
    public void Ends_are_final()
    {
        Assert.That(Enum.GetValues<PeerEvent>().Select(e => PeerTables.Next(PeerState.Dead, e)), Is.All.Null);
        Assert.That(Enum.GetValues<AttemptEvent>().Select(e => PeerTables.Next(AttemptState.Committed, e)), Is.All.Null);
        Assert.That(Enum.GetValues<AttemptEvent>().Select(e => PeerTables.Next(AttemptState.Aborted, e)), Is.All.Null);
        Assert.That(Enum.GetValues<SyncEvent>().Select(e => PeerTables.Next(SyncState.Succeeded, e)), Is.All.Null);
        Assert.That(Enum.GetValues<SyncEvent>().Select(e => PeerTables.Next(SyncState.Failed, e)), Is.All.Null);
    }

    private static void Add<TState, TEvent>(StringBuilder text, string title, Func<TState, TEvent, TState?> next)
        where TState : struct, Enum
        where TEvent : struct, Enum
    {
        var states = Enum.GetValues<TState>();
        var events = Enum.GetValues<TEvent>();
        var wide = events.Max(e => $"{e}".Length) + 2;
        var column = states.Max(s => $"{s}".Length) + 2;
        text.Append("# ").Append(title).Append('\n');
        text.Append($"{"".PadRight(wide)}{string.Concat(states.Select(s => $"{s}".PadRight(column)))}".TrimEnd()).Append('\n');
        foreach (var @event in events)
        {
            var cells = states.Select(s => $"{(next(s, @event) is { } to ? $"{to}" : ".")}".PadRight(column));
            text.Append($"{$"{@event}".PadRight(wide)}{string.Concat(cells)}".TrimEnd()).Append('\n');
        }

        text.Append('\n');
    }
}
