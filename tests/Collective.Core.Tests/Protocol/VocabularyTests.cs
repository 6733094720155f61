using System.Text;
using Collective.Protocol;
using NUnit.Framework;

namespace Collective.Core.Tests.Protocol;

/// <summary>The small types that everything else is said in.</summary>
[TestFixture]
internal sealed class VocabularyTests
{
    [Test]
    public void Epochs_are_ordered_by_term_then_number()
    {
        Epoch[] ascending = [Epoch.None, Epoch.First(0), Epoch.First(0).Next(), new((1UL << 48) - 1), Epoch.First(1), Epoch.First(2), Epoch.First(ushort.MaxValue), new(ulong.MaxValue)];
        for (var i = 0; i < ascending.Length; i++)
        {
            for (var j = 0; j < ascending.Length; j++)
            {
                Assert.That(ascending[i].CompareTo(ascending[j]), Is.EqualTo(i.CompareTo(j)));
                Assert.That(ascending[i] < ascending[j], Is.EqualTo(i < j));
                Assert.That(ascending[i] > ascending[j], Is.EqualTo(i > j));
                Assert.That(ascending[i] <= ascending[j], Is.EqualTo(i <= j));
                Assert.That(ascending[i] >= ascending[j], Is.EqualTo(i >= j));
            }
        }
    }

    [Test]
    public void An_epoch_shows_its_term_and_number()
    {
        var epoch = Epoch.First(7).Next().Next();
        Assert.That((epoch.Term, epoch.Number, epoch.ToString()), Is.EqualTo(((ushort)7, 3UL, "7.3")));
        Assert.That(Epoch.None.ToString(), Is.EqualTo("0.0"));
    }

    [Test]
    public void Peer_ids_are_ordered_by_their_bytes_as_printed()
    {
        PeerId[] ascending =
        [
            new(new Guid("00000000-0000-0000-0000-000000000001")), new(new Guid("00000000-0000-0000-0100-000000000000")),
            new(new Guid("00000000-0000-7fff-0000-000000000000")), new(new Guid("00000000-0000-8000-0000-000000000000")),
            new(new Guid("7fffffff-0000-0000-0000-000000000000")), new(new Guid("80000000-0000-0000-0000-000000000000")),
        ];
        Assert.That(ascending, Is.Ordered);
        Assert.That(ascending.Select(p => p.ToString()), Is.Ordered.Using((IComparer<string>)StringComparer.Ordinal));
        Assert.That(ascending[4] > ascending[3] && ascending[3] < ascending[4] && ascending[3] <= ascending[4] && ascending[4] >= ascending[3]);
        Assert.That(ascending[4].ToShortString(), Is.EqualTo("7fffffff"));
    }

    [TestCase(0x7F00_0001u, (ushort)80, "127.0.0.1:80", true)]
    [TestCase(0x7FFF_FFFFu, (ushort)0, "127.255.255.255:0", true)]
    [TestCase(0xC0A8_FE03u, ushort.MaxValue, "192.168.254.3:65535", false)]
    [TestCase(0x8000_0001u, (ushort)1, "128.0.0.1:1", false)]
    public void An_IPv4_address_is_printed_as_everybody_does(uint address, ushort port, string text, bool loopback)
    {
        var value = new PeerAddress(address, IsIPv6: false, port);
        Assert.That((value.ToString(), value.IsLoopback), Is.EqualTo((text, loopback)));
    }

    /// <summary>As everybody else prints them (RFC 5952).</summary>
    [TestCase("2001:db8:0:1:2:3:4:ffff")]
    [TestCase("2001:db8::1:0:0:1")]
    [TestCase("2001:db8::42")]
    [TestCase("::1")]
    [TestCase("::")]
    [TestCase("fe80::")]
    [TestCase("1:2:3:4:5:6:7:0")]
    [TestCase("1::")]
    public void An_IPv6_address_is_printed_as_everybody_does(string text)
    {
        var bytes = System.Net.IPAddress.Parse(text).GetAddressBytes();
        var value = new PeerAddress(System.Buffers.Binary.BinaryPrimitives.ReadUInt128BigEndian(bytes), IsIPv6: true, 4711);
        Assert.That(value.ToString(), Is.EqualTo($"[{text}]:4711"));
        Assert.That(value.IsLoopback, Is.EqualTo(text == "::1"));
        Assert.That(value.IsLinkLocal, Is.EqualTo(text == "fe80::"));
        Assert.That(value.IsPossible, Is.EqualTo(text != "::"));
    }

    [TestCase(0x0000_0000u, (ushort)1, false)]
    [TestCase(0xFFFF_FFFFu, (ushort)1, false)]
    [TestCase(0xE000_0001u, (ushort)1, false)]
    [TestCase(0xC0A8_FE03u, (ushort)0, false)]
    [TestCase(0xC0A8_FE03u, (ushort)1, true)]
    [TestCase(0x7F00_0001u, (ushort)1, true)]
    public void Nobody_connects_to_a_wildcard_a_group_or_port_0(uint address, ushort port, bool possible)
        => Assert.That(new PeerAddress(address, IsIPv6: false, port).IsPossible, Is.EqualTo(possible));

    [Test]
    public void A_digest_differs_when_any_field_differs()
    {
        var digests = new Dictionary<uint, CollectiveDescriptor>();
        foreach (var count in new ulong[] { 0, 1, 2, 255, 256, 257, 65_536, 1UL << 32, 1UL << 40, ulong.MaxValue })
        {
            foreach (var type in Enum.GetValues<DataType>())
            {
                foreach (var operation in Enum.GetValues<ReduceOperation>())
                {
                    foreach (var quantisation in new byte[] { 0, 1, 255 })
                    {
                        var descriptor = new CollectiveDescriptor(count, type, operation, quantisation);
                        Assert.That(digests.TryAdd(descriptor.Digest, descriptor), Is.True, $"{descriptor} against {digests[descriptor.Digest]}");
                        Assert.That(CollectiveDescriptor.Difference(descriptor, descriptor), Is.Null);
                        var labelled = descriptor with { Label = "a" };
                        Assert.That(digests.TryAdd(labelled.Digest, labelled), Is.True, $"{labelled} against {digests[labelled.Digest]}");
                    }
                }
            }
        }
    }

    [Test]
    public void The_first_differing_field_is_named_with_both_values()
    {
        var left = new CollectiveDescriptor(10, DataType.Float32, ReduceOperation.Sum, 0);
        Assert.That(CollectiveDescriptor.Difference(left, left with { Count = 11 }), Is.EqualTo("count 10 against 11"));
        Assert.That(CollectiveDescriptor.Difference(left, left with { DataType = DataType.Float64 }), Is.EqualTo("data type Float32 against Float64"));
        Assert.That(CollectiveDescriptor.Difference(left, left with { Operation = ReduceOperation.Max }), Is.EqualTo("operation Sum against Max"));
        Assert.That(CollectiveDescriptor.Difference(left, left with { Quantisation = 0x10 }), Is.EqualTo("quantisation none against MinMax to UInt8"));
        Assert.That(CollectiveDescriptor.Difference(left with { Quantisation = 0x21 }, left with { Quantisation = 0x20 }), Is.EqualTo("quantisation ZeroPointScale to Int8 against ZeroPointScale to UInt8"));
    }

    [Test]
    public void Labels_that_differ_are_quoted_both()
    {
        var left = new CollectiveDescriptor(10, DataType.Float32, ReduceOperation.Sum, 0, "step 7");
        Assert.That(CollectiveDescriptor.Difference(left, left with { Label = "step 8" }), Is.EqualTo("label \"step 7\" against \"step 8\""));
        Assert.That(CollectiveDescriptor.Difference(left, left with { Label = "" }), Is.EqualTo("label \"step 7\" against \"\""));
        Assert.That(CollectiveDescriptor.Difference(left, left with { Label = "step 8", Count = 11 }), Is.EqualTo("label \"step 7\" against \"step 8\""));
        Assert.That(CollectiveDescriptor.Difference(left, left with { Label = new string("step 7") }), Is.Null);

        // Long ones, that differ late: what differs is in the reason, which is cut at its limit.
        var common = new string('x', 240);
        var difference = CollectiveDescriptor.Difference(left with { Label = common + " of A" }, left with { Label = common + " of B" })!;
        Assert.That(difference, Is.EqualTo($"label \"…{new string('x', 16)} of A\" against \"…{new string('x', 16)} of B\""));
        var wide = new string('語', 84);
        Assert.That(Encoding.UTF8.GetByteCount(CollectiveDescriptor.Difference(left with { Label = wide }, left with { Label = "x" + wide[1..] })!), Is.LessThan(Limits.ReasonBytesMax - 100));
    }

    [Test]
    public void A_label_is_printable_text_of_at_most_255_bytes()
    {
        Assert.That(new[] { "", "a", "größe", new string('x', 255), new string('語', 85) }.Select(CollectiveDescriptor.LabelObjection), Is.All.Null);
        Assert.That(CollectiveDescriptor.LabelObjection(new string('語', 86)), Is.EqualTo("the label has 258 bytes in UTF-8: use at most 255"));
        Assert.That(new[] { "two\nlines", "\0", "\u0085", "\ud800" }.Select(CollectiveDescriptor.LabelObjection), Is.All.Contains("printable"));
        var message = new CollectiveStart(default, new CollectiveDescriptor(1, DataType.Int8, ReduceOperation.Sum, 0, "two\nlines"));
        Assert.That(MessageCodec.Decode(message.Kind, Samples.Payload(message)), Is.Null, "nor on the wire");
    }

    [Test]
    public void An_operation_needs_go_above_the_eager_window_only()
    {
        var eager = new CollectiveDescriptor(Limits.EagerBytesMax / 4, DataType.Float32, ReduceOperation.Sum, 0);
        Assert.That(eager.NeedsGo, Is.False);
        Assert.That((eager with { Count = eager.Count + 1 }).NeedsGo, Is.True);
    }

    /// <summary>The table of docs/quantisation.md; every other combination is refused, by the caller's side and by the reader of the wire.</summary>
    [Test]
    public void Only_combinations_that_make_sense_are_possible()
    {
        DataType[] unsigned = [DataType.UInt8, DataType.UInt16, DataType.UInt32, DataType.UInt64];
        DataType[] signed = [DataType.Int8, DataType.Int16, DataType.Int32, DataType.Int64];
        foreach (var elements in Enum.GetValues<DataType>())
        {
            foreach (var operation in Enum.GetValues<ReduceOperation>())
            {
                for (var value = 0; value <= byte.MaxValue; value++)
                {
                    var quantization = Quantization.FromByte((byte)value);
                    var isFloat = elements is DataType.Float32 or DataType.Float64;
                    var sensible = value == 0
                        || (value >> 4 == 1 && isFloat && unsigned.Contains((DataType)(value & 15)))
                        || (value >> 4 == 2 && isFloat && unsigned.Concat(signed).Contains((DataType)(value & 15)) && operation <= ReduceOperation.Average);
                    Assert.That(new CollectiveDescriptor(1, elements, operation, (byte)value).IsPossible, Is.EqualTo(sensible), $"{elements} {operation} {value:X2}");
                    if (value >> 4 > 0)
                    {
                        Assert.That(quantization.Objection(elements, operation), sensible ? Is.Null : Is.Not.Empty);
                        Assert.That(quantization.ToByte(), Is.EqualTo(value));
                    }
                }
            }
        }

        Assert.That(new Quantization((QuantizationAlgorithm)17, DataType.UInt8).Objection(DataType.Float32, ReduceOperation.Sum), Is.EqualTo("17 is no quantisation algorithm"));
        Assert.That(new Quantization(QuantizationAlgorithm.MinMax, (DataType)99).Objection(DataType.Float32, ReduceOperation.Sum), Is.Not.Empty);
        Assert.That(new Quantization(QuantizationAlgorithm.None, DataType.Float16).ToByte(), Is.Zero);
    }

    [Test]
    public void Every_data_type_has_its_size()
        => Assert.That(
            Enum.GetValues<DataType>().Select(CollectiveDescriptor.ElementBytesOf),
            Is.EqualTo(new[] { 1, 1, 2, 2, 4, 4, 8, 8, 2, 2, 4, 8 }));

    [Test]
    public void A_broken_invariant_names_its_expression()
    {
        var peers = 2;
        Assert.That(() => Invariant.Holds(peers == 3), Throws.TypeOf<InvariantException>().With.Message.Contains("'peers == 3'"));
        Assert.That(() => Invariant.Holds(peers == 2), Throws.Nothing);
    }
}
